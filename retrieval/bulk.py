"""Embedding many texts: in batches of like length, beside everything else, stopped at once."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from retrieval.storage.vector_table import Unembedded
from retrieval.types import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_TEXTS = 32
_MOST_CHARACTERS = 6000  # Of a batch, padding included: a fraction of a second on a small machine.
_POLL_SECONDS = 0.05
_LOWEST_PRIORITY = 19


def batches(texts: Sequence[Unembedded]) -> Iterator[list[Unembedded]]:
    """Cut texts into batches of like length, longest first.

    Little of such a batch is padding, and the pace only gets better.
    """
    ordered = sorted(texts, key=lambda t: (-len(t.text), t.text_hash))
    batch: list[Unembedded] = []
    for text in ordered:
        full = batch and len(batch[0].text) * (len(batch) + 1) > _MOST_CHARACTERS
        if full or len(batch) == _MOST_TEXTS:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def embed_in_batches(
    embedder: Embedder,
    texts: Sequence[Unembedded],
    check: Callable[[], None],
    *,
    background: bool,
) -> Generator[tuple[list[Unembedded], NDArray[np.float32]], None, None]:
    """Embed texts in a thread of their own; gives each batch with its vectors.

    ``check`` is called many times a second and may raise to stop: the batch at hand is left to
    end by itself and nobody waits for it. With ``background`` the thread runs at the lowest
    priority where the system can do that; what the caller does with the vectors does not.
    """
    lower = _lower_priority if background else None
    pool = ThreadPoolExecutor(1, thread_name_prefix="embedding", initializer=lower)
    try:
        for batch in batches(texts):
            future = pool.submit(embedder.embed_passages, [t.text for t in batch])
            yield batch, _wait(future, check)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _wait(future: Future[NDArray[np.float32]], check: Callable[[], None]) -> NDArray[np.float32]:
    check()
    while not wait([future], _POLL_SECONDS).done:
        check()
    return future.result()


def _lower_priority() -> None:
    """Let everything else go first.

    On Linux priority belongs to threads, and the workers that torch starts from this one inherit
    it; the other threads of the process, a question's among them, stay quick.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
