"""How soon a saved file is found, and what reading many small files costs.

Run with ``make bench``. ``bench_search.py`` measures an edit in an index of 50,000 chunks.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retrieval.library import Library
from retrieval.storage.database import Database
from retrieval.types import IndexReport, ignore_progress, never_cancelled
from tests.fixtures.word_embedder import WordEmbedder

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

FILES = 3000
EDITS = 8


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes")
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 9))) for _ in range(4000)]
    for number in range(FILES):
        sections = (f"## Part {p}\n\n{' '.join(rng.choices(words, k=40))}\n" for p in range(4))
        path = folder / f"d{number % 50}" / f"{number}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# Note {number}\n\n" + "\n".join(sections))
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, notes: Path) -> Iterator[Library]:
    with Library(tmp_path_factory.mktemp("index"), WordEmbedder()) as library:
        library.index(notes)
        library.warm()
        yield library


def test_a_saved_file_is_found_in_both_legs(library: Library, notes: Path) -> None:
    reports: list[IndexReport] = []
    cancelled = threading.Event()
    watching = threading.Thread(
        target=library.watch, args=(notes, reports.append, cancelled.is_set)
    )
    (notes / "d0/0.md").write_text("# Note\n\nChanged before the watch.\n")
    watching.start()
    taken = []
    try:
        _until(lambda: bool(reports))
        for number in range(1, EDITS + 1):
            (notes / f"d{number}/{number}.md").write_text(f"# Note\n\nquokka{number} alone.\n")
            saved = time.monotonic()
            _until(lambda n=number: _in_both(library, notes, f"quokka{n}"))  # type: ignore[misc]
            taken.append(time.monotonic() - saved)
    finally:
        cancelled.set()
        watching.join()
    print(
        f"\nfrom the save to both legs: {statistics.median(taken):.2f} s, at most {max(taken):.2f}"
    )
    assert max(taken) < 2.0


def test_an_update_against_a_run(library: Library, notes: Path) -> None:
    def edit(number: int) -> str:
        path = f"d{number % 50}/{number}.md"
        (notes / path).write_text(f"# Note {number}\n\nEdited at {time.time_ns()}.\n")
        return path

    updates, runs = [], []
    with library._current.using() as opened:
        for number in range(100, 100 + EDITS):
            path = edit(number)
            report = opened.indexer.update(notes, {path}, ignore_progress, never_cancelled)
            assert report is not None and report.changed == 1
            updates.append(report.seconds)
            edit(number)
            runs.append(library.index(notes).seconds)
    update, run = statistics.median(updates), statistics.median(runs)
    print(f"\none file of {FILES}: update {1000 * update:.0f} ms, run {1000 * run:.0f} ms")
    assert update < run


def test_grouped_transactions_against_single_ones(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reading(name: str) -> float:
        with Library(tmp_path / name, WordEmbedder()) as library:
            started = time.process_time()
            library.index(notes, embed=False)
            return time.process_time() - started

    grouped = reading("grouped")
    monkeypatch.setattr(Database, "grouped", lambda _: contextlib.nullcontext())
    single = reading("single")
    rate = FILES / grouped
    print(f"\nreading: {rate:.0f} files/s of processor time, {single / grouped:.2f} times single")
    assert grouped < 1.05 * single


def _in_both(library: Library, notes: Path, word: str) -> bool:
    indexes = library._indexes
    if not indexes.lexical().search(word, 1):
        return False
    _, chunks, embedded = indexes.store.counts(str(notes), "words@1")
    return chunks == embedded


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)
