"""Values that flow through retrieval, and the protocols its parts satisfy.

Bottom layer: standard library only. Arrays appear in annotations alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Leg = Literal["bm25", "vector"]
"""One way of ranking chunks: by keywords or by embeddings."""

LegChoice = Literal["hybrid", "bm25", "vector"]
"""What a caller asks for: both legs fused, or one alone."""


DEPTH = 100
"""Chunks that each leg hands to the fusion."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells whether a file changed: cheap facts first, content last."""

    size: int
    """Bytes."""
    mtime_ns: int
    """Modification time, nanoseconds since the epoch."""
    sha256: str
    """Hex digest of the file's bytes."""


@dataclass(frozen=True, slots=True)
class Note:
    """One file of a folder, read as text."""

    folder: str
    """Absolute path of the indexed folder that holds the file."""
    path: str
    """Path relative to the folder, with forward slashes."""
    title: str
    """First heading of level one, front-matter title, or the file's name."""
    text: str
    """The file's text, newlines normalised to ``\\n``; line numbers count from 1."""
    fingerprint: Fingerprint
    """The state of the file that the text was read from."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous run of a note's lines, small enough to embed whole."""

    id: str
    """Stable name: the same note path, place and text give the same id."""
    folder: str
    """Absolute path of the indexed folder."""
    note_path: str
    """Path of the note relative to the folder, with forward slashes."""
    title: str
    """Title of the note."""
    headings: tuple[str, ...]
    """Headings above the chunk, outermost first."""
    text: str
    """Exactly lines ``first_line`` to ``last_line`` of the note."""
    first_line: int
    """First line in the file, from 1."""
    last_line: int
    """Last line in the file, inclusive."""


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
    """Weight of the leg in the fusion."""
    score: float
    """The share of the fused score: ``weight / (k + rank)``."""
    leg_score: float
    """The leg's own score of the passage: BM25, or cosine similarity."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that answers a query, and why it was ranked where it is."""

    chunk: Chunk
    """The chunk, as the file reads now."""
    score: float
    """Fused score: exactly the sum of the contributions' scores."""
    contributions: tuple[Contribution, ...]
    """One entry for each leg that found the chunk."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not indexed."""

    path: str
    """Path relative to the folder, with forward slashes."""
    reason: str
    """Why, in words for the person."""


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What one indexing run did."""

    added: int
    """Files that were new."""
    changed: int
    """Files that were indexed before and read differently now."""
    removed: int
    """Files that are gone."""
    unchanged: int
    """Files that were left alone."""
    skipped: tuple[Skipped, ...]
    """Files that could not be indexed, with reasons."""
    chunks: int
    """Chunks of this folder in the index after the run."""
    seconds: float
    """Wall time of the run."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is."""

    label: str
    """What is being done, for the person: ``reading notes``, ``embedding``."""
    done: int
    """Units finished."""
    total: int
    """Units in all; 0 when not known yet."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What the index held of a folder that it no longer holds."""

    folder: str
    """Absolute path of the folder."""
    notes: int
    """Notes that were indexed."""
    chunks: int
    """Their chunks."""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The state of the index, or of one folder in it."""

    folders: tuple[str, ...]
    """Absolute paths of the indexed folders."""
    notes: int
    """Notes in the index."""
    chunks: int
    """Chunks in the index: what the keyword leg can find."""
    embedded: int
    """Chunks that have a vector: what the vector leg can find."""
    pending: int
    """Files on disk that differ from the index: new, changed or gone."""
    skipped: tuple[Skipped, ...]
    """Files that could not be indexed, with reasons."""
    notices: tuple[str, ...] = ()
    """What the person should know: folders that are not there or cannot be reached."""

    @property
    def complete(self) -> bool:
        """Whether both legs cover every note as it is on disk."""
        return self.embedded == self.chunks and self.pending == 0


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
    """Paths of indexed folders, or of what is inside them, to search; empty for all."""
    wait: bool = True
    """Whether to wait until the vector leg is loaded, or answer with the legs there are."""
    depth: int = DEPTH
    """Chunks that each leg is asked for."""


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


READING = "reading notes"
"""Label of the part of an index run after which keywords find everything."""

Report = Callable[[Progress], None]
"""Receives progress; must be quick and must not raise."""

Cancelled = Callable[[], bool]
"""Asked often by long jobs: true when the person wants them to stop."""


def ignore_progress(_: Progress) -> None:
    """Receive progress and do nothing with it."""


def never_cancelled() -> bool:
    """Answer that nobody asked to stop."""
    return False


class Embedder(Protocol):
    """Turns text into unit vectors.

    ``count_tokens`` must not load the model: chunking calls it before torch is there.
    """

    @property
    def name(self) -> str:
        """Name with the weights' version: vectors of different names are never compared."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads; what lies beyond is lost to the vector."""

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory, so that a query is quick."""

    def load(self) -> None:
        """Load the model; idempotent. Raises ``EmbedderError``."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special tokens left out."""

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts to be found: shape (len(texts), dimensions), rows of length 1."""

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed a question: shape (dimensions,), length 1."""


class ChunkIndex(Protocol):
    """One leg: ranks the chunks it holds against a query."""

    @property
    def leg(self) -> Leg:
        """Which leg this is."""

    def __len__(self) -> int:
        """Count the chunks held."""

    def search(
        self,
        query: str,
        depth: int,
        folders: Sequence[str] = (),
        within: frozenset[str] | None = None,
    ) -> list[Hit]:
        """Rank at most ``depth`` chunks, best first.

        Those of the folders (all when empty), and of them those with an id in ``within``.
        """
