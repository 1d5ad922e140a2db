"""Indexing that is killed at any point loses nothing, doubles nothing, and goes on."""

import multiprocessing
import random
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval import bulk, chunking
from retrieval.library import Library
from retrieval.types import LegChoice, Query
from tests.fixtures.killed_indexing import OFTEN, ONLY_IN_A_REBUILD, POINTS, index_until_killed
from tests.fixtures.word_embedder import WordEmbedder

NOTES = 200
KILLS_AT_RANDOM = 16
ROUNDS_OF_POINTS = 2
WORDS = ("river", "stone", "amber", "kettle", "violin", "harbour", "moss", "lantern")
LEGS: tuple[LegChoice, ...] = ("bm25", "vector")


class Folder:
    """Notes that are edited, moved and deleted at random, never twice to the same text."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.random = random.Random(seed)
        self._count = 0
        path.mkdir()
        for _ in range(NOTES):
            self._write(path / f"{self._number()}.md")

    def change(self) -> None:
        files = sorted(self.path.rglob("*.md"))
        for file in self.random.sample(files, 12):
            match self.random.choice(["edit", "edit", "move", "delete", "add", "replace"]):
                case "edit":
                    self._write(file)
                case "move":
                    target = self.path / f"sub{self._number() % 5}" / file.name
                    target.parent.mkdir(exist_ok=True)
                    file.rename(target)
                case "delete":
                    file.unlink()
                case "add":
                    self._write(file.with_name(f"{self._number()}.md"))
                case "replace":
                    fresh = file.with_suffix(".new")
                    self._write(fresh)
                    fresh.replace(file)

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _write(self, file: Path) -> None:
        sections = (
            f"## Part {part}\n\n{' '.join(self.random.choices(WORDS, k=12))} {self._number()}.\n"
            for part in range(self.random.randint(1, 3))
        )
        file.write_text(f"# Note {self._number()}\n\n" + "\n".join(sections))


class Index:
    """An index that processes work on until they are killed."""

    def __init__(self, directory: Path, folder: Path, log: Path) -> None:
        self.directory, self.folder, self.log = directory, folder, log
        self.rules = ("words@1", chunking.VERSION)
        self.kills = 0
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["chromadb", "tests.fixtures.killed_indexing"])

    def run(self, seconds: float | None = None, point: tuple[str, int] | None = None) -> bool:
        """Index in a process, killed after some time or at a point; says whether it was."""
        process = self._context.Process(
            target=index_until_killed,
            args=(self.directory, self.folder, self.log, self.rules, point),
        )
        process.start()
        process.join(seconds)
        process.kill()
        process.join()
        assert process.exitcode in {0, -signal.SIGKILL}, process.exitcode
        killed = process.exitcode == -signal.SIGKILL
        self.kills += killed
        return killed

    def open(self) -> Library:
        return Library(self.directory, WordEmbedder(self.rules[0]), embedder_named=WordEmbedder)

    def check(self) -> None:
        """All parts hold the same, once each, and nothing is found that is not in its file."""
        with self.open() as library:
            indexes = library._indexes
            name = indexes.embedder.name
            database = indexes.store._database
            assert database.read("PRAGMA integrity_check") == [("ok",)]
            ids = [i for (i,) in database.read("SELECT id FROM chunks")]
            assert len(ids) == len(set(ids))
            assert sorted(ids) == sorted(i for (i,) in database.read("SELECT id FROM chunk_terms"))
            assert sorted(ids) == sorted(indexes.lexical().chunk_ids)
            assert not database.read(
                "SELECT id FROM chunks WHERE file NOT IN (SELECT number FROM files)"
            )
            leg = indexes.vectors()
            assert leg._chroma.keys() == indexes.store.vectors.keys(name)  # type: ignore[attr-defined]
            hits = [hit.chunk_id for hit in leg.search("river", depth=3000)]
            embedded = database.read(
                "SELECT id FROM chunks c JOIN vectors v"
                " ON v.text_hash = c.text_hash AND v.embedder = ?",
                (name,),
            )
            assert sorted(hits) == sorted(i for (i,) in embedded)
            for leg_choice in LEGS if ids else ():
                for passage in library.search(Query("violin moss", leg=leg_choice)).passages:
                    text = (self.folder / passage.chunk.note_path).read_text()
                    assert passage.chunk.text in text

    def content(self) -> tuple[object, ...]:
        """Everything that the index says of the folder."""
        with self.open() as library:
            assert library.status().complete
            database = library._indexes.store._database
            return (
                database.read("SELECT path, reason FROM files ORDER BY path"),
                database.read(
                    "SELECT id, title, headings, text, first_line, last_line, text_hash"
                    " FROM chunks ORDER BY id"
                ),
                database.read("SELECT text_hash, vector FROM vectors ORDER BY text_hash"),
                sorted(library._indexes.lexical().chunk_ids),
            )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    monkeypatch.setattr(chunking, "VERSION", chunking.VERSION)
    yield Index(tmp_path / "index", tmp_path / "notes", tmp_path / "embedded.log")


def _equals_a_fresh_one(index: Index, tmp_path: Path) -> None:
    fresh = Index(tmp_path / "fresh", index.folder, tmp_path / "fresh.log")
    fresh.rules = index.rules
    assert not fresh.run()
    assert index.content() == fresh.content()


def _embedded_little_twice(index: Index) -> None:
    lines = index.log.read_text().splitlines()
    assert len(lines) <= len(set(lines)) + index.kills * bulk._MOST_TEXTS


def test_killed_at_random_times_it_goes_on(index: Index, tmp_path: Path) -> None:
    folder = Folder(index.folder, seed=1)
    while index.kills < KILLS_AT_RANDOM:
        if not index.run(seconds=folder.random.uniform(0.02, 0.5)):
            folder.change()
        index.check()
    assert not index.run()
    index.check()
    _equals_a_fresh_one(index, tmp_path)
    _embedded_little_twice(index)


def test_killed_at_every_point_it_goes_on(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(index.folder, seed=2)
    assert not index.run()
    reached: set[str] = set()
    points = list(POINTS) * ROUNDS_OF_POINTS
    folder.random.shuffle(points)
    for number, point in enumerate(points):
        folder.change()
        if point in ONLY_IN_A_REBUILD or number % 4 == 0:
            name, version = index.rules
            index.rules = (f"words@{number}", version) if number % 2 else (name, version + 1)
            monkeypatch.setattr(chunking, "VERSION", index.rules[1])
        if index.run(point=(point, folder.random.randint(1, OFTEN.get(point, 1)))):
            reached.add(point)
        index.check()
    assert reached == set(POINTS)
    assert not index.run()
    index.check()
    _equals_a_fresh_one(index, tmp_path)
    _embedded_little_twice(index)
    assert len([p for p in index.directory.glob("generation-*") if p.is_dir()]) == 1
    assert index.kills + KILLS_AT_RANDOM >= 40


def test_a_database_that_was_killed_is_not_locked(index: Index) -> None:
    Folder(index.folder, seed=3)
    assert index.run(point=("inside a file's transaction", 20))
    with sqlite3.connect(index.directory / "index.sqlite3", timeout=0.0) as database:
        database.execute("BEGIN IMMEDIATE")
        assert database.execute("SELECT count(*) FROM files").fetchone()[0] < 20
