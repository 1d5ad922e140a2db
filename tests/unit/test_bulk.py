"""Embedding many texts at once."""

import os
import sys
import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.bulk import batches, embed_in_batches
from retrieval.storage.vector_table import Unembedded
from tests.fixtures.word_embedder import WordEmbedder


def _texts(lengths: Sequence[int]) -> list[Unembedded]:
    return [Unembedded(str(i).encode(), "x" * length) for i, length in enumerate(lengths)]


@given(st.lists(st.integers(1, 9000), max_size=80))
def test_batches_hold_every_text_once_and_stay_small(lengths: list[int]) -> None:
    texts = _texts(lengths)
    made = list(batches(texts))
    assert sorted(t.text_hash for b in made for t in b) == sorted(t.text_hash for t in texts)
    for batch in made:
        longest = max(len(t.text) for t in batch)
        assert len(batch) == 1 or (len(batch) <= 32 and longest * len(batch) <= 6000)
    sizes = [len(t.text) for b in made for t in b]
    assert sizes == sorted(sizes, reverse=True)


def test_each_text_gets_its_own_vector() -> None:
    embedder = WordEmbedder()
    texts = [Unembedded(str(i).encode(), f"word{i} " * (i + 1)) for i in range(70)]
    seen = 0
    for batch, vectors in embed_in_batches(embedder, texts, lambda: None, background=False):
        seen += len(batch)
        np.testing.assert_array_equal(vectors, embedder.embed_passages([t.text for t in batch]))
    assert seen == 70


def test_a_stop_does_not_wait_for_the_batch_at_hand() -> None:
    entered, release = threading.Event(), threading.Event()

    class Slow(WordEmbedder):
        def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
            entered.set()
            assert release.wait(60)
            return super().embed_passages(texts)

    def check() -> None:
        if entered.is_set():
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            list(embed_in_batches(Slow(), _texts([5]), check, background=False))
        assert not release.is_set()
    finally:
        release.set()


def test_an_error_of_the_embedder_reaches_the_caller() -> None:
    embedder = WordEmbedder()

    def fail() -> None:
        raise TimeoutError("its own")

    embedder.before_batch = fail
    with pytest.raises(TimeoutError, match="its own"):
        list(embed_in_batches(embedder, _texts([5]), lambda: None, background=False))


@pytest.mark.skipif(sys.platform != "linux", reason="priority belongs to threads on Linux alone")
@pytest.mark.parametrize(("background", "nice"), [(True, 19), (False, None)])
def test_only_the_embedding_thread_yields(background: bool, nice: int | None) -> None:
    embedder = WordEmbedder()
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    seen: list[int] = []
    embedder.before_batch = lambda: seen.append(
        os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    )
    list(embed_in_batches(embedder, _texts([5]), lambda: None, background=background))
    assert seen == [ours if nice is None else nice]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == ours
