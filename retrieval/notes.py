"""A folder's files as notes: what is read of them, and why the rest cannot be.

Only looks and reads; a user's files are never written.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from retrieval.extract import UnusableNoteError, decode, extract
from retrieval.files.folders import (
    EMPTY,
    NOT_THERE,
    folder_problem,
    plain,
    require_folder,
    resolve_folder,
)
from retrieval.files.formats import format_of
from retrieval.files.scanning import (
    MAX_BYTES,
    FileStat,
    Scan,
    is_note,
    scan_folder,
    size_problem,
    stat_note,
)
from retrieval.types import Fingerprint, Note

__all__ = [
    "EMPTY",
    "MAX_BYTES",
    "NOT_THERE",
    "FileStat",
    "Scan",
    "UnusableNoteError",
    "decode",
    "folder_problem",
    "is_note",
    "make_note",
    "read_bytes",
    "read_note",
    "require_folder",
    "resolve_folder",
    "scan_folder",
    "stat_note",
]

_OPEN_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def read_bytes(folder: Path, path: str, max_bytes: int = MAX_BYTES) -> tuple[bytes, Fingerprint]:
    """Read a file with the fingerprint of exactly what was read.

    Raises ``UnusableNoteError`` with the reason when it cannot be read or is too large.
    """
    try:
        # O_NONBLOCK: a pipe with a note's name must not hang the run.
        descriptor = os.open(Path(folder, path), os.O_RDONLY | _OPEN_FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise UnusableNoteError("it is not a plain file")
            problem = size_problem(path, info.st_size, max_bytes)
            data = b"" if problem else file.read(max_bytes + 1)
    except OSError as error:
        reason = f"it cannot be read: {plain(error)}"
        raise UnusableNoteError(reason, lasting=False) from error
    if problem := problem or size_problem(path, len(data), max_bytes):
        raise UnusableNoteError(problem)
    digest = hashlib.sha256(data).hexdigest()
    return data, Fingerprint(info.st_size, info.st_mtime_ns, digest)


def make_note(folder: Path, path: str, data: bytes, fingerprint: Fingerprint) -> Note:
    """Make a note of a file's bytes, or raise ``UnusableNoteError``."""
    extracted = extract(path, data)
    return Note(
        folder=str(folder),
        path=path,
        title=extracted.title,
        text=extracted.text,
        fingerprint=fingerprint,
        format=format_of(path) or "text",
        tags=extracted.tags,
        links=extracted.links,
        places=extracted.places,
    )


def read_note(folder: Path, path: str, max_bytes: int = MAX_BYTES) -> tuple[Note, Fingerprint]:
    """Read a file as a note, with the fingerprint of exactly what was read.

    Raises ``UnusableNoteError`` with the reason when it cannot be one.
    """
    data, fingerprint = read_bytes(folder, path, max_bytes)
    return make_note(folder, path, data, fingerprint), fingerprint
