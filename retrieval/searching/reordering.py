"""The best passages put in order by a reranker, within the time it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retrieval.chunking import indexed_text
from retrieval.errors import EmbedderError
from retrieval.queries.request import Request
from retrieval.types import Passage, Query, Reranked, Reranker

DEPTH = 30
"""Passages that a reranker is given at most."""


class Reordering:
    """What a reranker, when there is one, makes of a ranking. Threads may share it."""

    def __init__(self, reranker: Reranker | None, seconds: float) -> None:
        self._reranker = reranker
        self._seconds = seconds

    @property
    def depth(self) -> int:
        """Passages that it is to be given; 0 without a reranker."""
        return DEPTH if self._reranker is not None else 0

    def reordered(
        self, query: Query, request: Request, passages: Sequence[Passage], notices: list[str]
    ) -> list[Passage]:
        """Put the passages in order; those it had no time for follow as they were."""
        if self._reranker is None:
            notices.append("Not reranked: no reranker is chosen (search.reranker in the settings).")
            return list(passages)
        if not query.wait and not self._reranker.loaded:
            notices.append("Not reranked: the reranker is still loading.")
            return list(passages)
        first = list(passages[:DEPTH])
        if len(first) < 2 or not request.text:
            return list(passages)
        from retrieval.reranking import rerank

        try:
            scores = rerank(
                self._reranker, request.meaning, [indexed_text(p.chunk) for p in first],
                self._seconds,
            )  # fmt: skip
        except EmbedderError as error:
            notices.append(f"Not reranked. {error}")
            return list(passages)
        if len(scores) < len(first):
            notices.append(
                f"The reranker had time for {len(scores)} of {len(first)} passages "
                "(search.rerank_seconds in the settings)."
            )
        scored = [
            replace(passage, reranked=Reranked(rank, score))
            for rank, (passage, score) in enumerate(zip(first, scores, strict=False), start=1)
        ]
        scored.sort(key=lambda p: -p.reranked.score if p.reranked else 0.0)
        return [*scored, *passages[len(scored) :]]
