"""The vector leg: cosine nearest neighbours in Chroma, mapped to the chunks of the store.

Chroma derives from the store and is keyed by text, not by chunk: a note that moves costs it
nothing, the same text is kept once, and a server can be shared by people whose paths differ.
What a filter leaves few of is compared exactly instead, with the vectors that the store keeps.
"""

from __future__ import annotations

import math
import shutil
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.chroma.local import LocalVectors
from retrieval.errors import VectorIndexDamagedError
from retrieval.store import Store
from retrieval.types import Embedder, Hit, Leg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from retrieval.storage.vector_table import VectorTable

_ADD_AT_ONCE = 250  # Texts: one call into Chroma costs as much as indexing dozens of them.
_LEFTOVERS = 500  # Chunks removed until Chroma is searched for texts that nobody has any more.
_EXACT = 5000  # Chunks that are compared sooner than Chroma finds them among all.
_FILTERED = 2500  # Texts asked for at least when a filter drops most: the graph is searched wider.
_MOST_FETCHED = 4000  # Texts asked of Chroma until comparing every vector is quicker.


class VectorLeg(ABC):
    """Ranks chunks by the cosine of their vectors. Threads may share it."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self._lock = threading.RLock()
        self._counted: dict[tuple[str, ...], tuple[int, int]] = {}
        self._excess = 1.2  # Times the chunks wanted that Chroma is asked for; learned.

    @property
    def leg(self) -> Leg:
        """Which leg this is."""
        return "vector"

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it can answer without loading anything."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the chunks that it can find."""

    @property
    def problem(self) -> str:
        """Say why what others share could not be reached of late; empty when all is well."""
        return ""

    @abstractmethod
    def open(self, *, synchronise: bool) -> None:
        """Load Chroma; when this process may write, bring it in step with the store.

        What it lacks otherwise is compared by each search.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of Chroma; it can be opened again."""

    @abstractmethod
    def add_texts(self, keys: Sequence[bytes]) -> None:
        """Add the texts that have a vector in the store."""

    @abstractmethod
    def flush(self) -> None:
        """Hand over what was added and waits for more to come with it."""

    @abstractmethod
    def remove(self, chunk_ids: Sequence[str]) -> None:
        """Hear of chunks that are gone from the store."""

    @abstractmethod
    def _nearest(self, vector: NDArray[np.float32], count: int) -> list[tuple[bytes, float]]:
        """Give at most ``count`` texts with their cosines, the most similar first."""

    @abstractmethod
    def _waiting(self) -> Sequence[bytes]:
        """Give the texts that Chroma does not have yet."""

    def search(
        self,
        query: str,
        depth: int,
        folders: Sequence[str] = (),
        within: frozenset[str] | None = None,
    ) -> list[Hit]:
        """Rank at most ``depth`` chunks by cosine similarity to the query, best first.

        Raises ``VectorIndexError`` and ``EmbedderError``.
        """
        vector = self._embedder.embed_query(query)
        if depth < 1 or within == frozenset():
            return []
        with self._lock:
            if not self.is_open:
                self.open(synchronise=False)
            share = self._count(folders) if within is None else len(within)
            if (folders or within is not None) and share <= _EXACT:
                scored = self._exact(vector, depth, folders, within)
            else:
                scored = self._through_chroma(vector, depth, share, folders, within)
        return [Hit(chunk_id, rank, score) for rank, (chunk_id, score) in enumerate(scored, 1)]

    @property
    def _table(self) -> VectorTable:
        return self._store.vectors

    def _exact(
        self,
        vector: NDArray[np.float32],
        depth: int,
        folders: Sequence[str],
        within: frozenset[str] | None,
    ) -> list[tuple[str, float]]:
        """Compare every vector that the filters leave: ids and cosines, best first."""
        name = self._embedder.name
        return self._table.similar(name, vector, depth, folders=folders, within=within)

    def _through_chroma(
        self,
        vector: NDArray[np.float32],
        depth: int,
        share: int,
        folders: Sequence[str],
        within: frozenset[str] | None,
    ) -> list[tuple[str, float]]:
        """Ask Chroma for more and more, until enough of it is among what is wanted."""
        expected = depth * self._count(()) / share if share else depth
        wanted = math.ceil(self._excess * expected)
        if folders or within is not None:
            wanted = max(2 * wanted, _FILTERED)
        while wanted <= _MOST_FETCHED:
            near = self._nearest(vector, wanted)
            found = self._chunks(near, folders, within)
            if len(found) >= depth or len(near) < wanted:
                if len(found) >= depth and not folders and within is None:
                    self._excess = max(1.2, 1.2 * wanted * depth / len(found) / expected)
                merged = dict(found) | self._compared(vector, folders, within)
                if len(merged) >= min(depth, share):
                    return sorted(merged.items(), key=lambda hit: -hit[1])[:depth]
                break  # The graph does not lead to all that is there.
            wanted *= 4
        return self._exact(vector, depth, folders, within)

    def _chunks(
        self,
        near: Sequence[tuple[bytes, float]],
        folders: Sequence[str],
        within: frozenset[str] | None,
    ) -> list[tuple[str, float]]:
        """Give the chunks of texts, those that nobody has any more left out."""
        chunks = self._table.chunks_of([key for key, _ in near], folders)
        return [
            (chunk_id, cosine)
            for key, cosine in near
            for chunk_id in chunks.get(key, ())
            if within is None or chunk_id in within
        ]

    def _compared(
        self,
        vector: NDArray[np.float32],
        folders: Sequence[str],
        within: frozenset[str] | None,
    ) -> dict[str, float]:
        """Compare the chunks that Chroma does not have yet, of those that the filters leave."""
        keys = self._waiting()
        if not keys:
            return {}
        name = self._embedder.name
        hits = self._table.similar(name, vector, sys.maxsize, folders=folders, keys=keys)
        return {i: cosine for i, cosine in hits if within is None or i in within}

    def _count(self, folders: Sequence[str]) -> int:
        """Count the chunks that have a vector, anew when the index changed."""
        generation, key = self._store.generation(), tuple(folders)
        counted, count = self._counted.get(key, (-1, 0))
        if counted != generation:
            count = self._table.count(self._embedder.name, folders)
            self._counted[key] = (generation, count)
        return count


class VectorIndex(VectorLeg):
    """The vector leg with its Chroma in a folder of one's own."""

    def __init__(self, directory: Path, store: Store, embedder: Embedder) -> None:
        super().__init__(store, embedder)
        self._directory = directory
        self._chroma = LocalVectors(directory, embedder.name)
        self._open = False
        self._late: dict[bytes, None] = {}
        self._removed = 0

    @property
    def is_open(self) -> bool:
        """Whether Chroma is loaded."""
        return self._open

    def __len__(self) -> int:
        with self._lock:
            if not self._open:
                return 0
            keys = self._chroma.keys() | self._late.keys()
            return sum(map(len, self._table.chunks_of(sorted(keys)).values()))

    def open(self, *, synchronise: bool) -> None:
        """Load Chroma; when this process may write, bring it in step with the store.

        A damaged Chroma folder is then rebuilt from the stored vectors. Raises
        ``VectorIndexError``.
        """
        with self._lock:
            if self._open:
                return
            try:
                self._start(synchronise)
            except VectorIndexDamagedError:
                self._start_again(synchronise)

    def close(self) -> None:
        """Let go of Chroma; it can be opened again."""
        with self._lock:
            self._open = False
            self._late.clear()
            self._chroma.close()

    def add_texts(self, keys: Sequence[bytes]) -> None:
        """Add the texts that have a vector in the store."""
        with self._lock:
            self._late.update(dict.fromkeys(keys))
            if len(self._late) >= _ADD_AT_ONCE:
                self._hand_over()

    def remove(self, chunk_ids: Sequence[str]) -> None:
        """Hear of chunks that are gone from the store; their texts may be others' as well."""
        with self._lock:
            self._removed += len(chunk_ids)

    def flush(self) -> None:
        """Hand Chroma what waits for it, and take from it what nobody has any more."""
        with self._lock:
            if self._removed >= _LEFTOVERS:
                self._synchronise()
            self._hand_over()

    def _hand_over(self) -> None:
        """Hand Chroma the texts that wait for it."""
        if self._late:
            for keys, vectors in self._table.vectors(self._embedder.name, list(self._late)):
                self._chroma.add(keys, vectors)
            self._late.clear()

    def _nearest(self, vector: NDArray[np.float32], count: int) -> list[tuple[bytes, float]]:
        return self._chroma.nearest(vector, count)

    def _waiting(self) -> Sequence[bytes]:
        return list(self._late)

    def _synchronise(self) -> None:
        """Add what Chroma lacks and delete what the store no longer has."""
        wanted = self._table.keys(self._embedder.name)
        held = self._chroma.keys()
        self._chroma.remove(sorted(held - wanted))
        self._removed = 0
        self._late = dict.fromkeys(sorted(wanted - held))
        self._hand_over()

    def _start(self, synchronise: bool) -> None:
        try:
            self._chroma.open()
            if synchronise:
                self._synchronise()
            else:  # Another process writes: what it has not handed over yet is compared.
                lacking = self._table.keys(self._embedder.name) - self._chroma.keys()
                self._late = dict.fromkeys(sorted(lacking))
        except BaseException:
            self._late.clear()
            self._chroma.let_go()  # Half in step it must not pass for open.
            raise
        self._open = True

    def _start_again(self, synchronise: bool) -> None:
        """Try once more, as what failed may have passed; only then start Chroma anew."""
        try:
            self._start(synchronise)
        except VectorIndexDamagedError:
            if not synchronise:
                raise
            shutil.rmtree(self._directory, ignore_errors=True)
            self._start(synchronise)
            self._store.mark_changed()  # Other processes have the old folder open.
