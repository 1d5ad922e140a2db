"""Files, notes and chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Format = Literal[
    "markdown",
    "text",
    "rst",
    "org",
    "html",
    "pdf",
    "docx",
    "epub",
    "notebook",
    "code",
    "csv",
    "json",
]
"""What a file is written in."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of an extracted text is in its file."""

    first_line: int
    """Line of the extracted text that the part begins with, from 1."""
    label: str
    """Its name for people: ``page 3``, ``cell 5``, ``chapter 2``."""


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
    """The file's text, or what was extracted from it; newlines are ``\\n``, lines count from 1."""
    fingerprint: Fingerprint
    """The state of the file that the text was read from."""
    format: Format = "text"
    """What the file is written in."""
    tags: tuple[str, ...] = ()
    """Its tags, case-folded, without ``#``, each once: ``project/alcove``."""
    links: tuple[str, ...] = ()
    """What it links to, each once: names as wikilinks spell them, paths below the folder."""
    places: tuple[Place, ...] = ()
    """Parts of a file whose lines are not the text's, in order; empty when they are."""


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
    place: str = ""
    """Where it is in a file whose lines are not its own: ``page 3``, ``cell 5``; else empty."""


def where(path: str, first_line: int, last_line: int, place: str = "") -> str:
    """Say where a passage is: ``git/undo.md:3-9``, and ``paper.pdf, page 3`` without own lines."""
    if place:
        return f"{path}, {place}"
    return f"{path}:{first_line}" + (f"-{last_line}" if last_line > first_line else "")
