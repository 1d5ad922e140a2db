"""The tables of an index, and the database that holds them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from retrieval.errors import IndexDamagedError, IndexLockedError, RetrievalError

T = TypeVar("T")

VERSION = 2
"""Layout of the tables, kept in the database's ``user_version``."""

_MAX_PARAMETERS = 500
_GROUP_SECONDS = 0.2
_STREAMED_AT_ONCE = 2000
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (
    number INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY,
    folder INTEGER NOT NULL REFERENCES folders (number),
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    format TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '[]',
    links TEXT NOT NULL DEFAULT '[]',
    UNIQUE (folder, path)
);
CREATE TABLE IF NOT EXISTS chunks (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    file INTEGER NOT NULL REFERENCES files (number),
    title TEXT NOT NULL,
    headings TEXT NOT NULL,
    first_line INTEGER NOT NULL,
    last_line INTEGER NOT NULL,
    text_hash BLOB NOT NULL,
    text TEXT NOT NULL,
    place TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS chunks_of_file ON chunks (file, text_hash);
CREATE INDEX IF NOT EXISTS chunks_of_text ON chunks (text_hash);
CREATE TABLE IF NOT EXISTS terms (number INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS chunk_terms (
    chunk INTEGER PRIMARY KEY REFERENCES chunks (number),
    id TEXT NOT NULL,
    folder INTEGER NOT NULL,
    terms BLOB NOT NULL,
    counts BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS vectors (
    number INTEGER PRIMARY KEY,
    embedder TEXT NOT NULL,
    text_hash BLOB NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (embedder, text_hash)
);
INSERT OR IGNORE INTO meta VALUES ('generation', 0);
"""
_RAISE_GENERATION = "UPDATE meta SET value = value + 1 WHERE key = 'generation'"
_FROM_1 = """
ALTER TABLE folders ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE files ADD COLUMN format TEXT NOT NULL DEFAULT '';
ALTER TABLE files ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE files ADD COLUMN links TEXT NOT NULL DEFAULT '[]';
ALTER TABLE chunks ADD COLUMN place TEXT NOT NULL DEFAULT '';
"""


class Database:
    """One index's database: a connection to write, one to read, shared by threads."""

    def __init__(self, path: Path) -> None:
        """Open it, made when missing. Raises ``IndexDamagedError`` when it cannot be used."""
        self._directory = path.parent
        self._writer, self._reader = _open(path)
        self._write_lock = threading.RLock()
        self.lost = 0
        """Times that writes were undone which had seemed to be well."""
        self._grouping: int | None = None
        self._commit_at = 0.0
        self._read_lock = threading.Lock()

    def close(self) -> None:
        """Close it; it cannot be used afterwards."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Give the rows of a query over what is committed."""
        with translated(self._directory), self._read_lock:
            return self._reader.execute(sql, parameters).fetchall()

    def stream(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[list[Any]]:
        """Give the rows of a query a few at a time, all as they were at one moment.

        Other reads wait until the last: it must be run through, and soon.
        """
        with translated(self._directory), self._read_lock:
            cursor = self._reader.execute(sql, parameters)
            while rows := cursor.fetchmany(_STREAMED_AT_ONCE):
                yield rows

    @contextmanager
    def write(self, *, changes: bool = True) -> Iterator[sqlite3.Connection]:
        """Run one transaction, kept whole or undone; it raises the generation.

        Unless it ``changes`` nothing that a search depends on.
        """
        with translated(self._directory), self._write_lock:
            db = self._writer
            if not db.in_transaction:
                db.execute("BEGIN IMMEDIATE")
            db.execute("SAVEPOINT one")
            try:
                yield db
                if changes:
                    db.execute(_RAISE_GENERATION)
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK TO one")
                    self._commit_now(db)  # What the group wrote before.
                else:
                    self.lost += 1  # A disk that is full may undo all of it.
                raise
            db.execute("RELEASE one")
            if self._grouping != threading.get_ident() or time.monotonic() >= self._commit_at:
                self._commit_now(db)

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Commit what this thread writes during the block a few times a second.

        Many small transactions cost more than what they write. What other threads write
        meanwhile is committed at once, with all that came before it.
        """
        self._grouping, self._commit_at = threading.get_ident(), 0.0
        try:
            yield
        finally:
            self._grouping = None
            self.settle()

    def settle(self) -> None:
        """Commit what a group has written so far, so that it can be read."""
        with translated(self._directory), self._write_lock:
            if self._writer.in_transaction:
                self._commit_now(self._writer)

    def _commit_now(self, db: sqlite3.Connection) -> None:
        """Commit; what cannot be is undone, as the next write would carry it along."""
        try:
            db.execute("COMMIT")
        except BaseException:
            self.lost += 1
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._commit_at = time.monotonic() + _GROUP_SECONDS


def slices(values: Sequence[T]) -> Iterator[list[T]]:
    """Cut a sequence to what one statement takes."""
    for start in range(0, len(values), _MAX_PARAMETERS):
        yield list(values[start : start + _MAX_PARAMETERS])


def marks(values: Sequence[object]) -> str:
    """Give the placeholders for an ``IN`` clause, parentheses included."""
    return f"({','.join('?' * len(values))})"


def _open(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    with translated(path.parent):
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise IndexDamagedError(
                f"The index folder {path.parent} cannot be made ({error.strerror}).",
                "Choose another place for Alcove's data (ALCOVE_HOME), or fix its permissions.",
            ) from error
        connections: list[sqlite3.Connection] = []
        try:
            connections.append(_connect(path))
            _prepare(connections[0], path)
            connections.append(_connect(path))
        except BaseException:
            for connection in connections:
                connection.close()
            raise
        return connections[0], connections[1]


@contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Turn the database's errors into ones with a remedy."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise IndexLockedError(
                "Another program is writing to the index.", "Wait until it is done, then try again."
            ) from error
        if "full" in text:
            raise RetrievalError(
                "The disk is full; the index could not be written.",
                "Free some space and run the same command again: what was done is kept.",
            ) from error
        if "malformed" in text or "no such" in text:
            raise damaged(directory, text) from error
        raise RetrievalError(
            f"The index in {directory} cannot be used ({text}).",
            "Check that the disk is there and that the folder can be written to.",
        ) from error
    except sqlite3.ProgrammingError as error:
        raise RetrievalError("The index was closed.", "Open it again.") from error
    except sqlite3.DatabaseError as error:
        raise damaged(directory, str(error)) from error


def damaged(directory: Path, why: str) -> IndexDamagedError:
    """Make the error for an index that must be built anew."""
    return IndexDamagedError(
        f"The index in {directory} is damaged ({why}). Your notes are untouched.",
        f"Delete the folder {directory} and index your notes again.",
    )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=10.0, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new database, and refuse one with a layout that is not known."""
    if _version(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection)  # Another process may just have done it.
    if version not in {0, 1, VERSION}:
        raise damaged(path.parent, f"it has layout {version}, this Alcove reads {VERSION}")
    statements = {0: _TABLES, 1: _FROM_1}.get(version, "")
    for statement in filter(str.strip, statements.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
