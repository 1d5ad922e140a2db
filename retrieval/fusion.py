"""Weighted reciprocal rank fusion that keeps what each leg contributed, and says why.

A hit adds ``weight / (k + rank)``. Ranks alone give the first place of a leg that found nothing
of use as much as that of one that found the answer. So each hit's weight is its leg's, times how
strong the hit is: how far its score gets from what chance gives to the highest that there could
be. Every query so weighs its legs by the evidence that they have for it.

Sources: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and
individual Rank Learning Methods", SIGIR 2009; for scores scaled by what is possible rather than
by what was found, Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval",
ACM TOIS 2023. What was measured is in docs/retrieval.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from retrieval.types import Contribution, Hit, Leg

RRF_K = 1000
"""Damps the ranks: at equal strength a leg's first place counts ``(k + 2) / (k + 1)`` times its
second. It is large since the difference between places is in their strengths."""

LEG_WEIGHTS: Mapping[Leg, float] = {"bm25": 100.0, "vector": 80.0}
"""Weight of a hit that is as strong as can be."""

_CURVE = 0.8  # Below 1: a little more strength counts less among strong hits than among weak ones.
_CHANCE: Mapping[Leg, float] = {"bm25": 0.1, "vector": 0.2}
"""Share of the highest possible score that the first hit gets of a question on something else."""
_WEAK: Mapping[Leg, float] = {"bm25": 0.15, "vector": 0.3}
"""What first hits of questions that the notes say nothing about seldom get over."""
_STRONG: Mapping[Leg, float] = {"bm25": 0.35, "vector": 0.6}
"""About what first hits of questions that the notes answer get to."""
_HIGHEST_COSINE = 1.0
_NAMES: Mapping[Leg, str] = {"bm25": "keywords", "vector": "meaning"}


@dataclass(frozen=True, slots=True)
class Fused:
    """One chunk of the fused ranking."""

    chunk_id: str
    """The chunk."""
    score: float
    """Sum of the contributions' scores, added in their order."""
    contributions: tuple[Contribution, ...]
    """One for each leg that found the chunk, in the order of the legs given."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much the hits of each leg count."""

    legs: Mapping[Leg, float]
    """Weight of a hit of full strength, by leg."""
    why: str
    """What the weights come from, for the person."""
    strengths: Mapping[Leg, Sequence[float]] = field(default_factory=dict)
    """Strength of each hit, from 0 to 1, in the order of the leg's ranking. All hits of a leg that
    is left out have 1."""


def weigh(
    rankings: Mapping[Leg, Sequence[Hit]],
    coverage: Mapping[Leg, float],
    keyword_ceiling: float,
    depth: int,
) -> Weights:
    """Weigh the legs of one query by the evidence that each has.

    ``coverage`` is the share of the chunks that a leg can find: while a folder is being embedded,
    the vector leg's first place is the best of what happens to be embedded. ``keyword_ceiling``
    is the highest BM25 score that any chunk could have for the query, not above 0 when scores say
    nothing, as in a handful of chunks. ``depth`` is what each leg was asked for: no score counts
    that is not above the one at which a full list ends. One leg alone is ranked by rank.
    """
    if len(rankings) < 2:
        return Weights(dict.fromkeys(rankings, RRF_K + 1.0), "one leg alone")
    ceilings: dict[Leg, float] = {"bm25": keyword_ceiling, "vector": _HIGHEST_COSINE}
    strengths = {
        leg: _strengths(hits, _CHANCE[leg], ceilings[leg], depth) for leg, hits in rankings.items()
    }
    legs = {leg: LEG_WEIGHTS[leg] * min(coverage.get(leg, 1.0), 1.0) for leg in rankings}
    return Weights(legs, _why(rankings, ceilings, coverage), strengths)


def fuse(
    rankings: Mapping[Leg, Sequence[Hit]],
    weights: Weights | None = None,
    k: float = RRF_K,
) -> list[Fused]:
    """Merge rankings: a chunk scores the sum of ``weight / (k + rank)`` over the legs.

    A hit's weight is its leg's times its strength; without weights every hit weighs 1. Equal
    scores are ordered by best rank, then by chunk id, so that the result depends on the arguments
    alone.
    """
    found: dict[str, list[Contribution]] = {}
    for leg, hits in rankings.items():
        full = 1.0 if weights is None else weights.legs.get(leg, 1.0)
        strengths = None if weights is None else weights.strengths.get(leg)
        for place, hit in enumerate(hits):
            weight = full if strengths is None else full * strengths[place]
            contribution = Contribution(
                leg=leg,
                rank=hit.rank,
                weight=weight,
                score=weight / (k + hit.rank),
                leg_score=hit.score,
            )
            found.setdefault(hit.chunk_id, []).append(contribution)
    fused = [
        Fused(chunk_id, sum(c.score for c in contributions), tuple(contributions))
        for chunk_id, contributions in found.items()
    ]
    fused.sort(key=lambda f: (-f.score, min(c.rank for c in f.contributions), f.chunk_id))
    return fused


def _strengths(hits: Sequence[Hit], chance: float, ceiling: float, depth: int) -> list[float]:
    """Give how far each score gets from the leg's floor to its ceiling: from 0 to 1.

    The floor is what chance gives, or where a full list ends when that is higher: what the leg
    does not list is no better. Without a ceiling, strength falls with the rank alone.
    """
    if ceiling <= 0:
        return [1 / (1 + hit.rank) for hit in hits]
    floor = max(chance * ceiling, hits[-1].score if len(hits) >= depth else 0.0)
    if floor >= ceiling:
        return [1.0 for _ in hits]
    shares = (min(max((hit.score - floor) / (ceiling - floor), 0.0), 1.0) for hit in hits)
    return [share**_CURVE for share in shares]


def _why(
    rankings: Mapping[Leg, Sequence[Hit]],
    ceilings: Mapping[Leg, float],
    coverage: Mapping[Leg, float],
) -> str:
    """Say what the evidence of each leg is."""
    said: list[str] = []
    bm25, vector = rankings.get("bm25", ()), rankings.get("vector", ())
    if not bm25:
        said.append("no chunk has a keyword")
    elif ceilings["bm25"] <= 0:
        said.append("too few chunks for keyword scores to count, so their ranks do")
    else:
        share = min(max(bm25[0].score / ceilings["bm25"], 0.0), 1.0)
        said.append(
            f"keywords {_judged('bm25', share)}: the first hit has {share:.0%} of the highest score"
            " that there could be"
        )
    if vector:
        cosine = min(max(vector[0].score, 0.0), 1.0)
        said.append(f"meaning {_judged('vector', cosine)}: the first hit is {cosine:.0%} alike")
    for leg, share in coverage.items():
        if leg in rankings and share < 1:
            said.append(f"{_NAMES[leg]} covers {share:.0%} of the chunks and weighs as much less")
    return "each hit by its strength; " + "; ".join(said)


def _judged(leg: Leg, score: float) -> str:
    if score >= _STRONG[leg]:
        return "strong"
    return "weak" if score < _WEAK[leg] else "fair"
