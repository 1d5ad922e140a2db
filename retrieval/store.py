"""The truth that both legs derive from: files, chunks, terms and vectors in SQLite.

Every change is one transaction, so a killed process loses at most the file at hand, and BM25 and
Chroma can be brought in step with what is here at any time.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from retrieval.chunking import indexed_text
from retrieval.schema import open_database, translated
from retrieval.terms import TermBatch, term_batch
from retrieval.types import Chunk, Fingerprint, Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

_MAX_PARAMETERS = 500
_TERMS = "SELECT term, number FROM terms WHERE term IN"
_CHUNK_COLUMNS = (
    "c.id, f.path, n.path, c.title, c.headings, c.text, c.first_line, c.last_line"
    " FROM chunks c JOIN files n ON n.number = c.file JOIN folders f ON f.number = n.folder"
)


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


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A text that has no vector yet."""

    text_hash: bytes
    """Key of its vector."""
    text: str
    """What to embed."""


def text_hash(text: str) -> bytes:
    """Give the key under which a text's vector is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


class Store:
    """One index's database. Threads may share it; one of them writes at a time."""

    def __init__(self, path: Path) -> None:
        self._directory = path.parent
        self._writer, self._reader = open_database(path)
        self._write_lock = threading.RLock()
        self._read_lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def close(self) -> None:
        """Close the database; the store cannot be used afterwards."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    # Folders and files

    def folders(self) -> tuple[str, ...]:
        """Give the absolute paths of the indexed folders."""
        return tuple(path for (path,) in self._read("SELECT path FROM folders ORDER BY path"))

    def add_folder(self, folder: str) -> None:
        """Note that a folder is indexed, even when it is empty."""
        with self._write() as db:
            db.execute("INSERT OR IGNORE INTO folders (path) VALUES (?)", (folder,))

    def files(self, folder: str) -> dict[str, StoredFile]:
        """Give what is known of a folder's files, by relative path."""
        rows = self._read(
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
        rows = self._read(
            "SELECT size, mtime_ns, sha256, reason FROM files n"
            " JOIN folders f ON f.number = n.folder WHERE f.path = ? AND n.path = ?",
            (folder, path),
        )
        return StoredFile(Fingerprint(*rows[0][:3]), rows[0][3]) if rows else None

    def skipped(self, folder: str) -> tuple[Skipped, ...]:
        """Give a folder's files that could not be indexed."""
        rows = self._read(
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
    ) -> Change:
        """Replace what is known of a file: its chunks with their terms, or why it has none."""
        with self._write() as db:
            (folder_number,) = db.execute(
                "SELECT number FROM folders WHERE path = ?", (folder,)
            ).fetchone()
            removed = _delete_chunks(db, folder, path)
            (file_number,) = db.execute(
                "INSERT INTO files (folder, path, size, mtime_ns, sha256, reason)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (folder, path) DO UPDATE SET"
                " size = excluded.size, mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256,"
                " reason = excluded.reason RETURNING number",
                (folder_number, path, *_row(fingerprint), reason),
            ).fetchone()
            numbers = self._number_terms(db, {term for _, terms in chunks for term in terms})
            batch = term_batch(
                [
                    (chunk.id, folder, Counter({numbers[t]: n for t, n in terms.items()}))
                    for chunk, terms in chunks
                ]
            )
            _insert_chunks(db, folder_number, file_number, [c for c, _ in chunks], batch)
            return Change(removed, batch)

    def touch(self, folder: str, path: str, fingerprint: Fingerprint) -> None:
        """Keep a file's new stat when its content is what it was."""
        with self._write() as db:
            db.execute(
                "UPDATE files SET size = ?, mtime_ns = ?, sha256 = ? WHERE path = ?"
                " AND folder = (SELECT number FROM folders WHERE path = ?)",
                (*_row(fingerprint), path, folder),
            )

    def remove_file(self, folder: str, path: str) -> tuple[str, ...]:
        """Forget a file; gives the ids of its chunks."""
        with self._write() as db:
            removed = _delete_chunks(db, folder, path)
            db.execute(
                "DELETE FROM files WHERE path = ?"
                " AND folder = (SELECT number FROM folders WHERE path = ?)",
                (path, folder),
            )
            return removed

    def set_rules(self, rules: str) -> None:
        """Note how texts are cut and counted; other rules than before make every file unread."""
        if self._read("SELECT value FROM meta WHERE key = 'rules'") == [(rules,)]:
            return
        with self._write() as db:
            db.execute("UPDATE files SET mtime_ns = -1, sha256 = ''")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('rules', ?)", (rules,))

    # Chunks and terms

    def chunks(self, ids: Sequence[str]) -> dict[str, Chunk]:
        """Give chunks by id; those that are gone are left out."""
        found: dict[str, Chunk] = {}
        for some in _slices(ids):
            marks = ",".join("?" * len(some))
            for row in self._read(f"SELECT {_CHUNK_COLUMNS} WHERE c.id IN ({marks})", some):
                chunk = _chunk(row)
                found[chunk.id] = chunk
        return found

    def term_numbers(self, terms: Sequence[str]) -> dict[str, int]:
        """Look up the numbers of terms; unknown ones are left out."""
        found: dict[str, int] = {}
        for some in _slices(terms):
            marks = ",".join("?" * len(some))
            found.update(
                self._read(f"SELECT term, number FROM terms WHERE term IN ({marks})", some)
            )
        return found

    def all_terms(self) -> TermBatch:
        """Give the terms of every chunk, as the keyword leg loads them."""
        folders = dict(self._read("SELECT number, path FROM folders"))
        rows = self._read("SELECT id, folder, terms, counts FROM chunk_terms ORDER BY chunk")
        return TermBatch(
            chunk_ids=[row[0] for row in rows],
            folders=[folders[row[1]] for row in rows],
            sizes=np.array([len(row[3]) // 2 for row in rows], np.int64),
            terms=np.frombuffer(b"".join(row[2] for row in rows), "<i4"),
            counts=np.frombuffer(b"".join(row[3] for row in rows), "<u2"),
        )

    def generation(self) -> int:
        """Give a number that every change of files or vectors raises."""
        return int(self._read("SELECT value FROM meta WHERE key = 'generation'")[0][0])

    def counts(self, folder: str, embedder: str) -> tuple[int, int, int]:
        """Count a folder's notes, its chunks, and its chunks that have a vector."""
        (notes,) = self._read(
            "SELECT count(*) FROM files n JOIN folders f ON f.number = n.folder"
            " WHERE f.path = ? AND reason = ''",
            (folder,),
        )[0]
        (chunks, embedded) = self._read(
            "SELECT count(*), count(v.number) FROM chunks c JOIN files n ON n.number = c.file"
            " JOIN folders f ON f.number = n.folder LEFT JOIN vectors v"
            " ON v.embedder = ? AND v.text_hash = c.text_hash WHERE f.path = ?",
            (embedder, folder),
        )[0]
        return notes, chunks, embedded

    # Vectors

    def unembedded(self, embedder: str, folder: str, paths: Sequence[str] = ()) -> list[Unembedded]:
        """Give the distinct texts of a folder, or of some of its files, that have no vector."""
        where, parameters = "f.path = ?", [embedder, folder]
        if paths:
            where += f" AND n.path IN ({','.join('?' * len(paths))})"
            parameters.extend(paths)
        rows = self._read(
            f"SELECT c.text_hash, {_CHUNK_COLUMNS} LEFT JOIN vectors v ON v.embedder = ?"
            f" AND v.text_hash = c.text_hash WHERE v.number IS NULL AND {where}",
            parameters,
        )
        return [
            Unembedded(key, text)
            for key, text in {row[0]: indexed_text(_chunk(row[1:])) for row in rows}.items()
        ]

    def put_vectors(
        self, embedder: str, keys: Sequence[bytes], vectors: NDArray[np.float32]
    ) -> None:
        """Keep the vectors of texts: row i belongs to key i."""
        with self._write() as db:
            db.executemany(
                "INSERT OR IGNORE INTO vectors (embedder, text_hash, vector) VALUES (?, ?, ?)",
                [
                    (embedder, key, vector.astype("<f4").tobytes())
                    for key, vector in zip(keys, vectors, strict=True)
                ],
            )

    def embedded_ids(self, embedder: str) -> set[str]:
        """Give the ids of all chunks that have a vector."""
        rows = self._read(
            "SELECT c.id FROM chunks c JOIN vectors v"
            " ON v.text_hash = c.text_hash AND v.embedder = ?",
            (embedder,),
        )
        return {chunk_id for (chunk_id,) in rows}

    def ids_of_texts(self, keys: Sequence[bytes]) -> list[str]:
        """Give the ids of the chunks that have one of these texts."""
        found: list[str] = []
        for some in _slices(keys):
            marks = ",".join("?" * len(some))
            rows = self._read(f"SELECT id FROM chunks WHERE text_hash IN ({marks})", some)
            found.extend(chunk_id for (chunk_id,) in rows)
        return found

    def vectors(
        self, embedder: str, ids: Iterable[str]
    ) -> Iterator[tuple[list[str], list[str], NDArray[np.float32]]]:
        """Give ids, folders and vectors (n, dimensions) of chunks, in slices; unknown left out."""
        for some in _slices(list(ids)):
            marks = ",".join("?" * len(some))
            rows = self._read(
                "SELECT c.id, f.path, v.vector FROM chunks c JOIN files n ON n.number = c.file"
                " JOIN folders f ON f.number = n.folder"
                " JOIN vectors v ON v.text_hash = c.text_hash AND v.embedder = ?"
                f" WHERE c.id IN ({marks})",
                [embedder, *some],
            )
            if rows:
                matrix = np.frombuffer(b"".join(row[2] for row in rows), "<f4")
                shaped = matrix.reshape(len(rows), -1).astype(np.float32)
                yield [row[0] for row in rows], [row[1] for row in rows], shaped

    def prune_vectors(self) -> None:
        """Forget the vectors of texts that no chunk has."""
        with self._write() as db:
            db.execute("DELETE FROM vectors WHERE text_hash NOT IN (SELECT text_hash FROM chunks)")

    # Inside

    def _read(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        with translated(self._directory), self._read_lock:
            return self._reader.execute(sql, parameters).fetchall()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction: kept whole, or undone."""
        with translated(self._directory), self._write_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
                self._writer.execute("COMMIT")
            except BaseException:
                self._numbers.clear()  # They may name terms that were never kept.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _number_terms(self, db: sqlite3.Connection, terms: set[str]) -> dict[str, int]:
        """Give the number of each term, new ones included."""
        unknown = [t for t in terms if t not in self._numbers]
        for some in _slices(unknown):
            sql = f"{_TERMS} ({','.join('?' * len(some))})"
            self._numbers.update(db.execute(sql, some).fetchall())
        for term in sorted(t for t in unknown if t not in self._numbers):
            cursor = db.execute("INSERT INTO terms (term) VALUES (?)", (term,))
            self._numbers[term] = cursor.lastrowid or 0
        return {term: self._numbers[term] for term in terms}


def _insert_chunks(
    db: sqlite3.Connection, folder: int, file: int, chunks: Sequence[Chunk], batch: TermBatch
) -> None:
    """Write chunks and their terms."""
    end = 0
    for chunk, size in zip(chunks, batch.sizes.tolist(), strict=True):
        start, end = end, end + size
        cursor = db.execute(
            "INSERT INTO chunks (id, file, title, headings, first_line, last_line, text_hash, text)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                chunk.id,
                file,
                chunk.title,
                json.dumps(chunk.headings, ensure_ascii=False),
                chunk.first_line,
                chunk.last_line,
                text_hash(indexed_text(chunk)),
                chunk.text,
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


def _delete_chunks(db: sqlite3.Connection, folder: str, path: str) -> tuple[str, ...]:
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


def _row(fingerprint: Fingerprint) -> tuple[int, int, str]:
    return fingerprint.size, fingerprint.mtime_ns, fingerprint.sha256


def _chunk(row: Sequence[Any]) -> Chunk:
    chunk_id, folder, path, title, headings, text, first_line, last_line = row
    return Chunk(
        id=chunk_id,
        folder=folder,
        note_path=path,
        title=title,
        headings=tuple(json.loads(headings)),
        text=text,
        first_line=first_line,
        last_line=last_line,
    )


def _slices(values: Sequence[T]) -> Iterator[list[T]]:
    """Cut a sequence to what one statement takes."""
    for start in range(0, len(values), _MAX_PARAMETERS):
        yield list(values[start : start + _MAX_PARAMETERS])
