"""Transactions that are grouped, and those that are not."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.errors import IndexDamagedError, RetrievalError
from retrieval.storage import database as databases
from retrieval.storage.database import Database

_LAYOUT_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE folders (number INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
CREATE TABLE files (number INTEGER PRIMARY KEY, path TEXT NOT NULL);
CREATE TABLE chunks (number INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO folders VALUES (1, '/notes');
PRAGMA user_version = 1;
"""

_NAMES = "SELECT term FROM terms ORDER BY number"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(databases, "_GROUP_SECONDS", 1000.0)
    database = Database(tmp_path / "index.sqlite3")
    yield database
    database.close()


def _add(database: Database, term: str) -> None:
    with database.write() as db:
        db.execute("INSERT INTO terms (term) VALUES (?)", (term,))


def _terms(database: Database) -> list[str]:
    return [term for (term,) in database.read(_NAMES)]


def test_a_group_is_committed_when_its_time_is_over_and_at_its_end(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.grouped():
        _add(database, "first")
        _add(database, "second")
        assert _terms(database) == ["first"]
        monkeypatch.setattr(database, "_commit_at", 0.0)
        _add(database, "third")
        assert _terms(database) == ["first", "second", "third"]
        _add(database, "fourth")
    assert _terms(database)[-1] == "fourth"


def test_a_write_that_fails_takes_nothing_with_it(database: Database) -> None:
    with database.grouped():
        _add(database, "first")
        _add(database, "second")
        with pytest.raises(ValueError, match="no"), database.write() as db:
            db.execute("INSERT INTO terms (term) VALUES ('lost')")
            raise ValueError("no")
        _add(database, "third")
    assert _terms(database) == ["first", "second", "third"]
    with pytest.raises(ValueError, match="no"), database.write() as db:
        db.execute("INSERT INTO terms (term) VALUES ('lost')")
        raise ValueError("no")
    assert _terms(database) == ["first", "second", "third"]


def test_what_another_thread_writes_is_there_at_once(database: Database) -> None:
    with database.grouped():
        _add(database, "first")
        _add(database, "second")
        thread = threading.Thread(target=_add, args=(database, "theirs"))
        thread.start()
        thread.join()
        assert _terms(database) == ["first", "second", "theirs"]


def test_every_write_raises_the_generation(database: Database) -> None:
    def generation() -> int:
        return int(database.read("SELECT value FROM meta WHERE key = 'generation'")[0][0])

    before = generation()
    with database.grouped():
        _add(database, "first")
        _add(database, "second")
    assert generation() == before + 2


def test_a_layout_of_before_is_brought_up_to_date_by_many_at_once(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite3"
    old = sqlite3.connect(path)
    old.executescript(_LAYOUT_1)
    old.close()
    start, failed = threading.Barrier(8), list[Exception]()

    def open_it() -> None:
        start.wait()
        try:
            Database(path).close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    database = Database(path)
    assert database.read("SELECT path, name FROM folders") == [("/notes", "")]
    assert database.read("PRAGMA user_version") == [(databases.VERSION,)]
    database.close()


def test_a_full_disk_is_no_damage_and_costs_what_was_not_committed(database: Database) -> None:
    _add(database, "kept")
    (pages,) = database.read("PRAGMA page_count")[0]
    database._writer.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(RetrievalError, match="disk is full") as told, database.grouped():
        _add(database, "first of the group")
        for n in range(5000):
            _add(database, f"{n} {'x' * 200}")
    assert not isinstance(told.value, IndexDamagedError)
    database._writer.execute("PRAGMA max_page_count = 1000000")
    assert _terms(database)[0] == "kept"
    _add(database, "later")
    assert _terms(database)[-1] == "later"


def test_a_commit_that_fails_is_undone_and_said_as_it_is(database: Database) -> None:
    class Failing:
        """The connection, on a disk that fails when a transaction ends."""

        def __init__(self, real: sqlite3.Connection) -> None:
            self.real = real

        @property
        def in_transaction(self) -> bool:
            return self.real.in_transaction

        def execute(self, sql: str, *rest: object) -> sqlite3.Cursor:
            if sql == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return self.real.execute(sql, *rest)  # type: ignore[arg-type]

    real = database._writer
    lost = database.lost
    database._writer = Failing(real)  # type: ignore[assignment]
    with pytest.raises(RetrievalError, match="disk I/O error") as told:
        _add(database, "gone")
    assert not isinstance(told.value, IndexDamagedError)
    database._writer = real
    assert database.lost == lost + 1
    _add(database, "there")
    assert _terms(database) == ["there"]
