"""A reranker is given the first places, and its time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from retrieval.reranking import rerank


class PacedReranker:
    """Scores a text by its length; takes a time for each batch and each character in it."""

    name = "paced"
    loaded = True

    def __init__(self, per_batch: float, per_text: float, loading: float = 0.0) -> None:
        self.now = 0.0
        self.batches: list[int] = []
        self._per_batch, self._per_text, self._loading = per_batch, per_text, loading

    def clock(self) -> float:
        return self.now

    def load(self) -> None:
        self.now += self._loading

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        self.batches.append(len(texts))
        self.now += self._per_batch + self._per_text * len(texts)
        return [len(text) / 1000 for text in texts]


TEXTS = ["x" * length for length in range(500, 800, 10)]


def test_all_are_scored_in_their_order_when_there_is_time() -> None:
    reranker = PacedReranker(0.01, 0.001)
    scores = rerank(reranker, "query", TEXTS, 10.0, reranker.clock)
    assert scores == [len(text) / 1000 for text in TEXTS]
    assert len(reranker.batches) < len(TEXTS) / 4


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0, 2.0])
@pytest.mark.parametrize(("per_batch", "per_text"), [(0.0, 0.1), (0.05, 0.02), (0.2, 0.2)])
def test_it_stops_before_its_time_is_over(
    seconds: float, per_batch: float, per_text: float
) -> None:
    reranker = PacedReranker(per_batch, per_text)
    scores = rerank(reranker, "query", TEXTS, seconds, reranker.clock)
    assert 1 <= len(scores) <= len(TEXTS)
    assert scores == [len(text) / 1000 for text in TEXTS[: len(scores)]]
    assert reranker.now <= max(seconds, per_batch + per_text)


def test_a_slow_one_scores_at_least_the_first_place() -> None:
    reranker = PacedReranker(5.0, 0.0)
    assert len(rerank(reranker, "query", TEXTS, 0.1, reranker.clock)) == 1


def test_the_time_that_is_there_is_used() -> None:
    reranker = PacedReranker(0.0, 0.1)
    assert len(rerank(reranker, "query", TEXTS, 2.0, reranker.clock)) >= 14


def test_loading_is_not_in_the_time() -> None:
    reranker = PacedReranker(0.0, 0.01, loading=30.0)
    assert len(rerank(reranker, "query", TEXTS, 5.0, reranker.clock)) == len(TEXTS)


def test_nothing_to_score_is_nothing() -> None:
    reranker = PacedReranker(0.1, 0.1)
    assert rerank(reranker, "query", [], 1.0, reranker.clock) == []
