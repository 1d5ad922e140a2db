"""How a ranking came about: what was searched for, how it was weighed, and what was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from retrieval.fusion import RRF_K, Fused, Weights
from retrieval.queries.request import Request
from retrieval.searching.narrowing import fails
from retrieval.searching.standing import Left
from retrieval.types import Chunk, Cut, Explanation, Hit, Leg, Passage, where

MOST_CUTS = 20
"""Cuts that an explanation lists."""


def explanation(
    request: Request,
    rankings: Mapping[Leg, Sequence[Hit]],
    weights: Weights,
    cuts: Sequence[Cut],
) -> Explanation:
    """Put together how a ranking came about."""
    ordered = sorted(cuts, key=lambda cut: -cut.score)
    return Explanation(
        text=request.meaning,
        terms=request.terms,
        phrases=request.phrases,
        filters=request.conditions,
        k=RRF_K,
        weights=tuple((leg, weights.legs.get(leg, 1.0)) for leg in rankings),
        why_weights=weights.why,
        found=tuple((leg, len(hits)) for leg, hits in rankings.items()),
        cuts=tuple(ordered[:MOST_CUTS]),
    )


def cut_of(left: Left) -> Cut:
    """Say why a chunk that was found is not among the passages."""
    return _cut(left.fused, left.chunk, left.reason)


def cuts_beyond(passages: Sequence[Passage], k: int) -> list[Cut]:
    """Say of passages that they are beyond the number asked for."""
    return [
        Cut(p.chunk.id, _place_of(p.chunk), p.score, p.contributions, f"beyond the {k} asked for")
        for p in passages
    ]


def cuts_kept_out(
    request: Request,
    fused: Sequence[Fused],
    allowed: frozenset[str],
    chunks: Mapping[str, Chunk],
) -> list[Cut]:
    """Say of what the legs would have found why the conditions keep it out."""
    cuts: list[Cut] = []
    for item in fused:
        chunk = chunks.get(item.chunk_id)
        if item.chunk_id in allowed or chunk is None:
            continue
        reason = fails(request, (chunk.text, chunk.title, *chunk.headings))
        conditions = "; ".join(request.conditions)
        cuts.append(_cut(item, chunk, reason or f"its note does not meet: {conditions}"))
    return cuts


def _place_of(chunk: Chunk) -> str:
    return where(chunk.note_path, chunk.first_line, chunk.last_line, chunk.place)


def _cut(item: Fused, chunk: Chunk | None, reason: str) -> Cut:
    place = _place_of(chunk) if chunk is not None else ""
    return Cut(item.chunk_id, place, item.score, item.contributions, reason)
