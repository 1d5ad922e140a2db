"""Queries and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from retrieval.types.documents import Chunk, Format

Leg = Literal["bm25", "vector"]
"""One way of ranking chunks: by keywords or by embeddings."""

LegChoice = Literal["hybrid", "bm25", "vector"]
"""What a caller asks for: both legs fused, or one alone."""


DEPTH = 100
"""Chunks that each leg hands to the fusion."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which notes may answer: those that meet every condition."""

    paths: tuple[str, ...] = ()
    """Globs of the path below the collection, one of which must match: ``git/**``, ``*.py``; none
    of those that begin with ``!`` may."""
    tags: tuple[str, ...] = ()
    """Tags, all of which the note must have; ``project`` also means ``project/alcove``, and
    ``!draft`` one that it must not have."""
    formats: tuple[Format, ...] = ()
    """Formats, one of which the note must be in."""
    after: float | None = None
    """Modified at or after this time, seconds since the epoch."""
    before: float | None = None
    """Modified before this time, seconds since the epoch."""

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return self != Filters()


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry of one leg's ranking."""

    chunk_id: str
    """The chunk that was found."""
    rank: int
    """Place in the ranking, from 1."""
    score: float
    """The leg's own score: BM25, or cosine similarity."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one leg added to a passage's fused score."""

    leg: Leg
    """The leg."""
    rank: int
    """The passage's rank in that leg, from 1."""
    weight: float
    """Weight of the hit in the fusion: its leg's, times how strong the hit is."""
    score: float
    """The share of the fused score: ``weight / (k + rank)``."""
    leg_score: float
    """The leg's own score of the passage: BM25, or cosine similarity."""


@dataclass(frozen=True, slots=True)
class Reranked:
    """What the reranker made of a passage."""

    fused_rank: int
    """Place by fused score, before reranking, from 1."""
    score: float
    """The reranker's score of query and passage together: from 0 to 1, more is better."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that answers a query, and why it was ranked where it is."""

    chunk: Chunk
    """The chunk, as the file reads now."""
    score: float
    """Fused score: exactly the sum of the contributions' scores."""
    contributions: tuple[Contribution, ...]
    """One entry for each leg that found the chunk."""
    reranked: Reranked | None = None
    """What the reranker made of it; its order then goes before the score's."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for, and where."""

    text: str
    """The question or keywords."""
    k: int = 8
    """Passages wanted at most."""
    leg: LegChoice = "hybrid"
    """Both legs, or one alone."""
    folders: tuple[str, ...] = ()
    """Names of collections, paths of indexed folders or of what is in them; empty for all."""
    base: str = ""
    """Folder that relative paths start from; empty for the one this process runs in."""
    wait: bool = True
    """Whether to wait until the vector leg is loaded, or answer with the legs there are."""
    depth: int = DEPTH
    """Chunks that each leg is asked for."""
    filters: Filters = Filters()
    """Which notes may answer."""
    context: str = ""
    """What the query follows, when it follows anything: the questions before it, one a line,
    oldest first."""
    rerank: bool = False
    """Whether the first passages are put in order by the reranker, when there is one."""
    explain: bool = False
    """Whether to say how the ranking came about."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A chunk that a leg found and that is not among the passages."""

    chunk_id: str
    """The chunk."""
    place: str
    """Its note's path and lines, for people; empty when it is not in the index any more."""
    score: float
    """Fused score."""
    contributions: tuple[Contribution, ...]
    """One entry for each leg that found it."""
    reason: str
    """Why it was cut, for the person."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a ranking came about."""

    text: str
    """What was searched for, context and operators resolved."""
    terms: tuple[str, ...]
    """Its terms as the keyword leg counts them."""
    phrases: tuple[str, ...]
    """Phrases that had to match."""
    filters: tuple[str, ...]
    """Conditions on the notes, in words."""
    k: float
    """Damping of the reciprocal rank fusion."""
    weights: tuple[tuple[Leg, float], ...]
    """Weight of each leg that took part."""
    why_weights: str
    """What the weights come from, in words."""
    found: tuple[tuple[Leg, int], ...]
    """Chunks that each leg found."""
    cuts: tuple[Cut, ...]
    """What was cut, best first."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages for a query, best first."""

    passages: tuple[Passage, ...]
    """At most ``Query.k`` passages."""
    legs: tuple[Leg, ...]
    """The legs that took part."""
    found: int
    """Distinct chunks that the legs found, before the cut to ``k``."""
    seconds: float
    """Wall time of the search."""
    notices: tuple[str, ...] = ()
    """What the person should know: a leg that did not take part, notes that changed."""
    stale: bool = False
    """Whether the index differs from the files on disk or lacks vectors."""
    explanation: Explanation | None = None
    """How the ranking came about, when the query asked for it."""
