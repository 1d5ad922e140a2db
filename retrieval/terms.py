"""The terms of chunks as arrays: what the store keeps and the keyword leg reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_COUNT = (1 << 16) - 1
"""Largest count of one term in one chunk that is told apart."""


@dataclass(frozen=True, slots=True)
class TermBatch:
    """The terms of some chunks, one chunk after the other."""

    chunk_ids: Sequence[str]
    """The chunks."""
    folders: Sequence[str]
    """Absolute path of the folder of each chunk."""
    sizes: NDArray[np.int64]
    """Distinct terms of each chunk, shape (chunks,)."""
    terms: NDArray[np.int32]
    """Numbers of the distinct terms of each chunk in turn, shape (sum of sizes,)."""
    counts: NDArray[np.uint16]
    """How often each of them occurs in its chunk, same shape."""

    def __len__(self) -> int:
        return len(self.chunk_ids)


def term_batch(chunks: Sequence[tuple[str, str, Counter[int]]]) -> TermBatch:
    """Make a batch of (chunk id, folder, count of each term by its number)."""
    ordered = [sorted(counts.items()) for _, _, counts in chunks]
    return TermBatch(
        chunk_ids=[chunk_id for chunk_id, _, _ in chunks],
        folders=[folder for _, folder, _ in chunks],
        sizes=np.array([len(items) for items in ordered], np.int64),
        terms=np.array([term for items in ordered for term, _ in items], np.int32),
        counts=np.array(
            [min(count, MAX_COUNT) for items in ordered for _, count in items], np.uint16
        ),
    )
