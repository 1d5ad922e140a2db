"""The truth that both legs derive from: files, chunks and terms in SQLite.

Every change is one transaction, so a killed process loses at most the file at hand, and BM25 and
Chroma can be brought in step with what is here at any time.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from retrieval.storage.collections import Collections
from retrieval.storage.database import Database, marks, slices
from retrieval.storage.rows import (
    CHUNK_COLUMNS,
    Change,
    StoredFile,
    chunk_of,
    delete_chunks,
    fingerprint_row,
    insert_chunks,
    note_of,
    note_row,
)
from retrieval.storage.vector_table import VectorTable
from retrieval.terms import TermBatch, term_batch
from retrieval.types import Chunk, Fingerprint, Note, Skipped

_TERMS = "SELECT term, number FROM terms WHERE term IN"


class Store:
    """One index's database. Threads may share it; one of them writes at a time."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._numbers: dict[str, int] = {}
        self._numbers_lost = 0
        self.vectors = VectorTable(self._database)
        """The vectors of the chunks' texts."""
        self.collections = Collections(self._database)
        """The folders under their names, and their notes by conditions."""

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        self._database.close()

    @property
    def lost(self) -> int:
        """Times that writes were undone which had seemed to be well: what is loaded is wrong."""
        return self._database.lost

    def grouped(self) -> AbstractContextManager[None]:
        """Commit what this thread writes during the block a few times a second."""
        return self._database.grouped()

    def settle(self) -> None:
        """Commit what a group has written so far, so that it can be read."""
        self._database.settle()

    # Folders and files

    def folders(self) -> tuple[str, ...]:
        """Give the absolute paths of the indexed folders."""
        return tuple(
            path for (path,) in self._database.read("SELECT path FROM folders ORDER BY path")
        )

    def add_folder(self, folder: str, name: str | None = None) -> None:
        """Note that a folder is indexed, even when it is empty; see ``Collections.put``."""
        self.collections.put(folder, name)

    def forget_folder(self, folder: str) -> tuple[str, ...]:
        """Forget a folder with all it held; gives the ids of its chunks."""
        removed = tuple(self.chunk_ids(folder))
        number = "(SELECT number FROM folders WHERE path = ?)"
        files = f"(SELECT number FROM files WHERE folder = {number})"
        with self._database.write() as db:
            for sql in (
                f"DELETE FROM chunk_terms WHERE folder = {number}",
                f"DELETE FROM chunks WHERE file IN {files}",
                f"DELETE FROM files WHERE folder = {number}",
                "DELETE FROM folders WHERE path = ?",
            ):
                db.execute(sql, (folder,))
        return removed

    def files(self, folder: str) -> dict[str, StoredFile]:
        """Give what is known of a folder's files, by relative path."""
        rows = self._database.read(
            "SELECT n.path, size, mtime_ns, sha256, reason FROM files n"
            " JOIN folders f ON f.number = n.folder WHERE f.path = ?",
            (folder,),
        )
        return {
            path: StoredFile(Fingerprint(size, mtime, sha), reason)
            for path, size, mtime, sha, reason in rows
        }

    def file(self, folder: str, path: str) -> StoredFile | None:
        """Give what is known of one file."""
        rows = self._database.read(
            "SELECT size, mtime_ns, sha256, reason FROM files n"
            " JOIN folders f ON f.number = n.folder WHERE f.path = ? AND n.path = ?",
            (folder, path),
        )
        return StoredFile(Fingerprint(*rows[0][:3]), rows[0][3]) if rows else None

    def digests_behind(self, chunk_ids: Sequence[str]) -> dict[tuple[str, str], str]:
        """Give the digest that each file behind some chunks was read with, by folder and path."""
        found: dict[tuple[str, str], str] = {}
        for some in slices(chunk_ids):
            rows = self._database.read(
                "SELECT DISTINCT f.path, n.path, n.sha256 FROM chunks c"
                " JOIN files n ON n.number = c.file JOIN folders f ON f.number = n.folder"
                f" WHERE c.id IN {marks(some)}",
                some,
            )
            found.update({(folder, path): sha256 for folder, path, sha256 in rows})
        return found

    def skipped(self, folder: str) -> tuple[Skipped, ...]:
        """Give a folder's files that could not be indexed."""
        rows = self._database.read(
            "SELECT n.path, reason FROM files n JOIN folders f ON f.number = n.folder"
            " WHERE f.path = ? AND reason != '' ORDER BY n.path",
            (folder,),
        )
        return tuple(Skipped(path, reason) for path, reason in rows)

    def put_file(
        self,
        folder: str,
        path: str,
        fingerprint: Fingerprint,
        chunks: Sequence[tuple[Chunk, Counter[str]]] = (),
        reason: str = "",
        note: Note | None = None,
    ) -> Change:
        """Replace what is known of a file: its note, chunks and terms, or why it has none.

        Does nothing when its folder is not indexed any more.
        """
        with self._database.write() as db:
            row = db.execute("SELECT number FROM folders WHERE path = ?", (folder,)).fetchone()
            if row is None:
                return Change((), term_batch([]))
            (folder_number,) = row
            removed = delete_chunks(db, folder, path)
            (file_number,) = db.execute(
                "INSERT INTO files (folder, path, size, mtime_ns, sha256, reason, format, tags,"
                " links) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (folder, path) DO UPDATE SET"
                " size = excluded.size, mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256,"
                " reason = excluded.reason, format = excluded.format, tags = excluded.tags,"
                " links = excluded.links RETURNING number",
                (folder_number, path, *fingerprint_row(fingerprint), reason, *note_row(note)),
            ).fetchone()
            numbers = self._number_terms(db, {term for _, terms in chunks for term in terms})
            batch = term_batch(
                [
                    (chunk.id, folder, Counter({numbers[t]: n for t, n in terms.items()}))
                    for chunk, terms in chunks
                ]
            )
            insert_chunks(db, folder_number, file_number, [c for c, _ in chunks], batch)
            return Change(removed, batch)

    def touch(self, folder: str, path: str, fingerprint: Fingerprint) -> None:
        """Keep a file's new stat, if its content is what was stored last."""
        with self._database.write() as db:
            db.execute(
                "UPDATE files SET size = ?, mtime_ns = ? WHERE sha256 = ? AND path = ?"
                " AND folder = (SELECT number FROM folders WHERE path = ?)",
                (*fingerprint_row(fingerprint), path, folder),
            )

    def remove_file(self, folder: str, path: str) -> tuple[str, ...]:
        """Forget a file; gives the ids of its chunks."""
        with self._database.write() as db:
            removed = delete_chunks(db, folder, path)
            db.execute(
                "DELETE FROM files WHERE path = ?"
                " AND folder = (SELECT number FROM folders WHERE path = ?)",
                (path, folder),
            )
            return removed

    def rules(self) -> str:
        """Say how the texts were cut, counted and embedded; empty when nothing is indexed."""
        rows = self._database.read(
            "SELECT coalesce((SELECT value FROM meta WHERE key = 'rules'), 'unknown')"
            " WHERE EXISTS (SELECT 1 FROM files)"
        )
        return str(rows[0][0]) if rows else ""

    def set_rules(self, rules: str) -> None:
        """Note how texts are cut, counted and embedded, unless something is indexed already."""
        stored = self._database.read("SELECT value FROM meta WHERE key = 'rules'")
        if stored == [(rules,)] or self.rules():
            return  # A write would tell every process that the index changed.
        with self._database.write() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('rules', ?)", (rules,))

    def notes(self, folder: str) -> dict[str, Note]:
        """Give a folder's notes by path, without title and text."""
        rows = self._database.read(
            "SELECT n.path, size, mtime_ns, sha256, format, tags, links FROM files n"
            " JOIN folders f ON f.number = n.folder WHERE f.path = ? AND reason = ''",
            (folder,),
        )
        return {row[0]: note_of(folder, row) for row in rows}

    # Chunks and terms

    def chunks(self, ids: Sequence[str]) -> dict[str, Chunk]:
        """Give chunks by id; those that are gone are left out."""
        found: dict[str, Chunk] = {}
        for some in slices(ids):
            sql = f"SELECT {CHUNK_COLUMNS} WHERE c.id IN {marks(some)}"
            for row in self._database.read(sql, some):
                chunk = chunk_of(row)
                found[chunk.id] = chunk
        return found

    def chunks_of(self, folder: str, path: str) -> list[Chunk]:
        """Give the chunks of one file in the order of its text."""
        sql = f"SELECT {CHUNK_COLUMNS} WHERE f.path = ? AND n.path = ? ORDER BY c.number"
        return [chunk_of(row) for row in self._database.read(sql, (folder, path))]

    def chunk_ids(self, folder: str, prefix: str = "") -> list[str]:
        """Give the ids of a folder's chunks, or of those in one file or folder inside it."""
        rows = self._database.read(
            "SELECT c.id FROM chunks c JOIN files n ON n.number = c.file"
            " JOIN folders f ON f.number = n.folder WHERE f.path = ?1"
            " AND (?2 = '' OR n.path = ?2 OR substr(n.path, 1, length(?2) + 1) = ?2 || '/')",
            (folder, prefix),
        )
        return [chunk_id for (chunk_id,) in rows]

    def term_numbers(self, terms: Sequence[str]) -> dict[str, int]:
        """Look up the numbers of terms; unknown ones are left out."""
        found: dict[str, int] = {}
        for some in slices(terms):
            found.update(self._database.read(f"{_TERMS} {marks(some)}", some))
        return found

    def postings(self) -> int:
        """Count the distinct terms of every chunk."""
        rows = self._database.read("SELECT coalesce(sum(length(counts)), 0) / 2 FROM chunk_terms")
        return int(rows[0][0])

    def all_terms(self) -> Iterator[TermBatch]:
        """Give the terms of every chunk, as the keyword leg loads them, from one moment."""
        sql = (
            "SELECT id, f.path, terms, counts FROM chunk_terms"
            " JOIN folders f ON f.number = folder ORDER BY chunk"
        )
        for rows in self._database.stream(sql):
            yield TermBatch(
                chunk_ids=[row[0] for row in rows],
                folders=[row[1] for row in rows],
                sizes=np.array([len(row[3]) // 2 for row in rows], np.int64),
                terms=np.frombuffer(b"".join(row[2] for row in rows), "<i4"),
                counts=np.frombuffer(b"".join(row[3] for row in rows), "<u2"),
            )

    def generation(self) -> int:
        """Give a number that every change of files or vectors raises."""
        return int(self._database.read("SELECT value FROM meta WHERE key = 'generation'")[0][0])

    def mark_changed(self) -> None:
        """Raise the generation, so that every process loads its legs again."""
        with self._database.write():
            pass

    def chunk_count(self, folder: str) -> int:
        """Count a folder's chunks."""
        (count,) = self._database.read(
            "SELECT count(*) FROM folders f JOIN files n ON n.folder = f.number"
            " JOIN chunks c ON c.file = n.number WHERE f.path = ?",
            (folder,),
        )[0]
        return int(count)

    def counts(self, folder: str, embedder: str) -> tuple[int, int, int]:
        """Count a folder's notes, its chunks, and its chunks that have a vector."""
        (notes,) = self._database.read(
            "SELECT count(*) FROM files n JOIN folders f ON f.number = n.folder"
            " WHERE f.path = ? AND reason = ''",
            (folder,),
        )[0]
        (chunks, embedded) = self._database.read(
            "SELECT count(*), count(v.number) FROM chunks c JOIN files n ON n.number = c.file"
            " JOIN folders f ON f.number = n.folder LEFT JOIN vectors v"
            " ON v.embedder = ? AND v.text_hash = c.text_hash WHERE f.path = ?",
            (embedder, folder),
        )[0]
        return notes, chunks, embedded

    # Inside

    def _number_terms(self, db: sqlite3.Connection, terms: set[str]) -> dict[str, int]:
        """Give the number of each term, new ones included."""
        if self._numbers_lost != self.lost:
            self._numbers.clear()
            self._numbers_lost = self.lost
        numbers = {t: self._numbers[t] for t in terms if t in self._numbers}
        unknown = sorted(terms - numbers.keys())
        for some in slices(unknown):
            known = dict(db.execute(f"{_TERMS} {marks(some)}", some).fetchall())
            self._numbers.update(known)  # Written before, and terms are never deleted.
            numbers.update(known)
        for term in unknown:
            if term not in numbers:
                cursor = db.execute("INSERT INTO terms (term) VALUES (?)", (term,))
                numbers[term] = cursor.lastrowid or 0
        return numbers
