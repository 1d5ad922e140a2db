"""Indexing runs: options, progress, reports, the state of the index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """What a person may choose about an index."""

    max_bytes: int = 20_000_000
    """Largest file that is read; CSV and JSON files are read up to a megabyte at most."""
    vectors: str = ""
    """Address of a Chroma server, ``http://host:8000``; empty to keep the vectors here."""
    rerank_seconds: float = 2.0
    """Time that the reranker has for one query."""


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
    notices: tuple[str, ...] = ()
    """What the person should know: how changes are followed, a server that is away."""


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
class Collection:
    """An indexed folder under its name."""

    name: str
    """Name, unique in the index."""
    folder: str
    """Absolute path of the folder."""
    notes: int
    """Notes in the index."""
    chunks: int
    """Their chunks."""
    embedded: int
    """Those that have a vector."""


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
    """Files on disk that differ from the index, or are yet to be read for one being rebuilt."""
    skipped: tuple[Skipped, ...]
    """Files that could not be indexed, with reasons."""
    notices: tuple[str, ...] = ()
    """What the person should know: folders that are not there or cannot be reached."""
    collections: tuple[Collection, ...] = ()
    """The folders with their names and what each holds."""

    @property
    def complete(self) -> bool:
        """Whether both legs cover every note as it is on disk."""
        return self.embedded == self.chunks and self.pending == 0


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
