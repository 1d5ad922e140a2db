"""Transactions that are grouped, and those that are not."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.storage import database as databases
from retrieval.storage.database import Database

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
