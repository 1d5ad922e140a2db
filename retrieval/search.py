"""From a query to passages: both legs, fused, and checked against the files as they are now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from retrieval.errors import EmbedderError, IndexDamagedError, VectorIndexError
from retrieval.fusion import Fused, Weights, fuse, weigh
from retrieval.indexer import Indexer
from retrieval.indexes import Indexes
from retrieval.queries.request import Request, read_request
from retrieval.searching.explain import (
    MOST_CUTS,
    cut_of,
    cuts_beyond,
    cuts_kept_out,
    explanation,
)
from retrieval.searching.freshness import Freshness
from retrieval.searching.narrowing import allowed_chunks, why_none
from retrieval.searching.reordering import Reordering
from retrieval.searching.scope import Scope, find_scope
from retrieval.searching.standing import Selection, Standing
from retrieval.types import (
    Cut,
    Explanation,
    Hit,
    IndexOptions,
    Leg,
    Passage,
    Query,
    Reranker,
    SearchResult,
)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the legs found, and what stands of it."""

    rankings: Mapping[Leg, Sequence[Hit]]
    """The ranking of each leg that took part."""
    weights: Weights
    """How much the hits of each leg count, and why."""
    fused: Sequence[Fused]
    """The fused ranking."""
    allowed: frozenset[str] | None
    """Chunks that the conditions let through; None when there are no conditions."""
    selection: Selection
    """The passages that stand in their files."""


class Searcher:
    """Answers queries from one index. Threads may share it."""

    def __init__(
        self,
        indexes: Indexes,
        indexer: Indexer,
        reranker: Reranker | None = None,
        options: IndexOptions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._indexes = indexes
        self._standing = Standing(indexes, indexer)
        self._freshness = Freshness(indexes, indexer)
        seconds = (options or IndexOptions()).rerank_seconds
        self._reordering = Reordering(reranker, seconds)
        self._clock = clock

    def search(self, query: Query) -> SearchResult:
        """Find passages; see ``Library.search``."""
        started = time.monotonic()
        request = read_request(query, self._clock())
        wanted = request.places or query.folders
        scope = find_scope(self._indexes.store, wanted, query.base)
        notices = [*request.notices, *scope.notices]
        if request.is_empty or query.k < 1:
            return SearchResult((), (), 0, time.monotonic() - started)
        found = self._find(query, request, scope, notices)
        if found.selection.changed and self._standing.refresh(found.selection.changed, notices):
            self.forget_scans()
            scope = find_scope(self._indexes.store, wanted, query.base)
            found = self._find(query, request, scope, [])
        if not found.fused:
            notices += filter(None, [why_none(self._indexes, request, scope)])
        passages = found.selection.passages
        if query.rerank:
            passages = self._reordering.reordered(query, request, passages, notices)
        stale = self._freshness.stale(query.leg, scope, tuple(found.rankings), notices)
        # A folder that cannot be reached matters to those who asked for it alone.
        stale = stale or bool(wanted and scope.missing)
        why = self._explain(query, request, scope, found, passages) if query.explain else None
        return SearchResult(
            passages=tuple(passages[: query.k]),
            legs=tuple(found.rankings),
            found=len(found.fused),
            seconds=time.monotonic() - started,
            notices=tuple(dict.fromkeys(notices)),
            stale=stale,
            explanation=why,
        )

    def forget_scans(self) -> None:
        """Look at the folders again before the next answer."""
        self._freshness.forget_scans()

    def _find(self, query: Query, request: Request, scope: Scope, notices: list[str]) -> _Found:
        """Rank what the conditions let through, and keep what stands in its file."""
        allowed = allowed_chunks(self._indexes, request, scope) if request.narrows else None
        within = scope.within if allowed is None else allowed
        rankings: Mapping[Leg, Sequence[Hit]] = {}
        if request.text and within != frozenset():
            rankings = self._rank(query, request, replace(scope, within=within), notices)
        weights = self._weights(query, request, scope, rankings)
        fused: Sequence[Fused] = fuse(rankings, weights)
        if not fused and (allowed or not request.text):
            fused = self._newest(scope, within)
        most = max(query.k, self._reordering.depth) if query.rerank else query.k
        selection = self._standing.select(fused, most)
        return _Found(rankings, weights, fused, allowed, selection)

    def _rank(
        self, query: Query, request: Request, scope: Scope, notices: list[str]
    ) -> dict[Leg, Sequence[Hit]]:
        """Ask the legs that can answer."""
        rankings: dict[Leg, Sequence[Hit]] = {}
        if not scope.folders:
            return rankings
        vector = query.leg != "bm25" and self._can_use_vectors(query, scope, notices)
        if query.leg != "vector" or not vector:
            lexical = self._indexes.lexical()
            rankings["bm25"] = lexical.search(
                request.keywords, query.depth, scope.only, scope.within
            )
        if vector:
            try:
                rankings["vector"] = self._vector_hits(query, request, scope, notices)
            except (EmbedderError, IndexDamagedError, VectorIndexError) as error:
                if query.leg == "vector":
                    raise
                notices.append(f"Searched by keywords only. {error}")
        return rankings

    def _newest(self, scope: Scope, within: frozenset[str] | None) -> list[Fused]:
        """List a chunk of each note that may answer, of the newest first."""
        first: dict[int, str] = {}
        for file, chunk_id in self._indexes.store.collections.newest(scope.folders):
            if file not in first and (within is None or chunk_id in within):
                first[file] = chunk_id
        return [Fused(chunk_id, 0.0, ()) for chunk_id in first.values()]

    def _weights(
        self,
        query: Query,
        request: Request,
        scope: Scope,
        rankings: Mapping[Leg, Sequence[Hit]],
    ) -> Weights:
        """Weigh the legs by the evidence that each has for this query."""
        both = len(rankings) > 1
        ceiling = self._indexes.lexical().ceiling(request.keywords) if both else 0.0
        return weigh(rankings, self._freshness.coverage(scope), ceiling, query.depth)

    def _can_use_vectors(self, query: Query, scope: Scope, notices: list[str]) -> bool:
        """Say whether the vector leg takes part, and why not."""
        if not query.wait and not self._indexes.vectors_ready:
            notices.append("Searched by keywords only: the embedding model is still loading.")
            return False
        counts = [self._freshness.counts(folder) for folder in scope.folders]
        embedded = sum(embedded for _, embedded in counts)
        if not embedded and any(chunks for chunks, _ in counts):
            notices.append("Searched by keywords only: the notes have no embeddings yet.")
            return False
        return embedded > 0

    def _vector_hits(
        self, query: Query, request: Request, scope: Scope, notices: list[str]
    ) -> list[Hit]:
        embedder, text = self._indexes.embedder, request.meaning
        if embedder.count_tokens([text])[0] > embedder.max_tokens:
            text = request.text  # What it follows stands before it, and it would be cut itself.
            if not request.context or embedder.count_tokens([text])[0] > embedder.max_tokens:
                notices.append(
                    "The question is long: the embedding model reads its first "
                    f"{embedder.max_tokens} tokens, the keyword search all of it."
                )
        return self._indexes.vectors().search(text, query.depth, scope.only, scope.within)

    def _explain(
        self,
        query: Query,
        request: Request,
        scope: Scope,
        found: _Found,
        passages: Sequence[Passage],
    ) -> Explanation:
        """Say how a ranking came about, with what was cut."""
        shown = {passage.chunk.id for passage in passages}
        left = {item.fused.chunk_id for item in found.selection.left}
        beyond = [f for f in found.fused if f.chunk_id not in shown | left][:MOST_CUTS]
        chunks = self._indexes.store.chunks([item.chunk_id for item in beyond])
        cuts: list[Cut] = [cut_of(item) for item in found.selection.left]
        cuts += cuts_beyond(passages[query.k :], query.k)
        more = [
            Passage(chunks[f.chunk_id], f.score, f.contributions)
            for f in beyond
            if f.chunk_id in chunks
        ]
        cuts += cuts_beyond(more, query.k)
        if found.allowed is not None and request.text:
            rankings = self._rank(query, request, scope, [])
            weights = self._weights(query, request, scope, rankings)
            fused = fuse(rankings, weights)[:MOST_CUTS]
            out = self._indexes.store.chunks([item.chunk_id for item in fused])
            cuts += cuts_kept_out(request, fused, found.allowed, out)
        return explanation(request, found.rankings, found.weights, cuts)
