"""Chunks as rows of the index's tables."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.chunking import indexed_text
from retrieval.terms import TermBatch
from retrieval.types import Chunk, Fingerprint, Note

CHUNK_COLUMNS = (
    "c.id, f.path, n.path, c.title, c.headings, c.text, c.first_line, c.last_line,"
    " c.place"
    " FROM chunks c JOIN files n ON n.number = c.file JOIN folders f ON f.number = n.folder"
)
"""What ``chunk_of`` reads, with the tables that it comes from."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the index knows of a file."""

    fingerprint: Fingerprint
    """The state it was read in."""
    reason: str
    """Why it is not indexed; empty when it is."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a write did to the chunks."""

    removed: tuple[str, ...]
    """Ids that are gone."""
    added: TermBatch
    """Chunks that are new."""


def text_hash(text: str) -> bytes:
    """Give the key under which a text's vector is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def insert_chunks(
    db: sqlite3.Connection, folder: int, file: int, chunks: Sequence[Chunk], batch: TermBatch
) -> None:
    """Write chunks and their terms."""
    end = 0
    for chunk, size in zip(chunks, batch.sizes.tolist(), strict=True):
        start, end = end, end + size
        cursor = db.execute(
            "INSERT INTO chunks (id, file, title, headings, first_line, last_line, text_hash, text,"
            " place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                chunk.id,
                file,
                chunk.title,
                json.dumps(chunk.headings, ensure_ascii=False),
                chunk.first_line,
                chunk.last_line,
                text_hash(indexed_text(chunk)),
                chunk.text,
                chunk.place,
            ),
        )
        db.execute(
            "INSERT INTO chunk_terms VALUES (?, ?, ?, ?, ?)",
            (
                cursor.lastrowid,
                chunk.id,
                folder,
                batch.terms[start:end].astype("<i4").tobytes(),
                batch.counts[start:end].astype("<u2").tobytes(),
            ),
        )


def delete_chunks(db: sqlite3.Connection, folder: str, path: str) -> tuple[str, ...]:
    """Delete a file's chunks and their terms; gives their ids."""
    rows = db.execute(
        "SELECT c.number, c.id FROM chunks c JOIN files n ON n.number = c.file"
        " JOIN folders f ON f.number = n.folder WHERE f.path = ? AND n.path = ?",
        (folder, path),
    ).fetchall()
    for number, _ in rows:
        db.execute("DELETE FROM chunk_terms WHERE chunk = ?", (number,))
        db.execute("DELETE FROM chunks WHERE number = ?", (number,))
    return tuple(chunk_id for _, chunk_id in rows)


def fingerprint_row(fingerprint: Fingerprint) -> tuple[int, int, str]:
    """Give a fingerprint as it is stored."""
    return fingerprint.size, fingerprint.mtime_ns, fingerprint.sha256


def note_row(note: Note | None) -> tuple[str, str, str]:
    """Give a note's format, tags and links as they are stored."""
    if note is None:
        return "", "[]", "[]"
    tags, links = (json.dumps(values, ensure_ascii=False) for values in (note.tags, note.links))
    return note.format, tags, links


def note_of(folder: str, row: Sequence[Any]) -> Note:
    """Make a note, without title and text, of path, fingerprint, format, tags and links."""
    path, size, mtime_ns, sha256, form, tags, links = row
    fingerprint = Fingerprint(size, mtime_ns, sha256)
    return Note(
        folder,
        path,
        "",
        "",
        fingerprint,
        format=form,
        tags=tuple(json.loads(tags)),
        links=tuple(json.loads(links)),
    )


def chunk_of(row: Sequence[Any]) -> Chunk:
    """Make a chunk of a row of ``CHUNK_COLUMNS``."""
    chunk_id, folder, path, title, headings, text, first_line, last_line, place = row
    return Chunk(
        id=chunk_id,
        folder=folder,
        note_path=path,
        title=title,
        headings=tuple(json.loads(headings)),
        text=text,
        first_line=first_line,
        last_line=last_line,
        place=place,
    )
