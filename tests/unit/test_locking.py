"""One writer per index, over processes and threads."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.errors import IndexCancelled, IndexLockedError
from retrieval.library import Library
from retrieval.locking import WriteLock
from retrieval.types import Progress, Query
from tests.fixtures.word_embedder import WordEmbedder

HOLD = """
import sys
from pathlib import Path
from retrieval.locking import WriteLock
with WriteLock(Path(sys.argv[1])).hold(0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> "subprocess.Popen[str]":
    return _hold(tmp_path)


def _hold(directory: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    with process:
        process.kill()


def test_another_process_is_named_and_its_death_frees_the_lock(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    lock = WriteLock(tmp_path)
    try:
        with pytest.raises(IndexLockedError, match=str(holder.pid)), lock.hold(0):
            pytest.fail("two writers")
    finally:
        _end(holder)
    with lock.hold(1):
        assert lock.held
        assert (tmp_path / "write.pid").read_text() == str(os.getpid())
    assert not lock.held


def test_a_process_that_was_killed_holds_nothing(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    lock = WriteLock(tmp_path)
    try:
        assert lock.other_holder() == holder.pid
    finally:
        _end(holder)
    assert (tmp_path / "write.pid").exists()
    assert lock.other_holder() is None
    with lock.hold(0):
        assert lock.other_holder() is None


def test_the_holders_of_one_process_share_it(tmp_path: Path) -> None:
    lock = WriteLock(tmp_path)
    with lock.hold(0):
        with lock.hold(0):
            pass
        assert lock.held
        with pytest.raises(IndexLockedError), WriteLock(tmp_path).hold(0):
            pytest.fail("two writers")
    assert not lock.held


def test_a_search_beside_another_writer_drops_what_is_no_longer_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("The tea is green.\n")
    (folder / "b.md").write_text("The tea is black.\n")
    monkeypatch.setattr("retrieval.progress._LOCK_WAIT_SECONDS", 0.0)
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(folder)
        (folder / "a.md").write_text("Gone.\n")
        with WriteLock(tmp_path / "index").hold(0):
            result = library.search(Query("tea"))
            assert [p.chunk.note_path for p in result.passages] == ["b.md"]
            assert any("another process" in n for n in result.notices)
            with pytest.raises(IndexLockedError):
                library.index(folder)


def test_a_search_beside_an_index_run_names_its_process(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("The tea is green.\n")
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(folder)
        (folder / "b.md").write_text("The tea is black.\n")
        holder = _hold(tmp_path / "index")
        try:
            result = library.search(Query("tea"))
            assert result.notices == (
                f"{folder}: process {holder.pid} is indexing it: 1 note to be read.",
            )
        finally:
            _end(holder)
        assert any("alcove index" in n for n in library.search(Query("tea")).notices)


def test_a_background_run_waits_for_another_process_until_it_is_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("The tea is green.\n")
    seen: list[str] = []
    with Library(tmp_path / "index", WordEmbedder()) as library:
        lock = WriteLock(tmp_path / "index")
        held = contextlib.ExitStack()
        held.enter_context(lock.hold(0))

        def report(progress: Progress) -> None:
            seen.append(progress.label)
            held.close()

        with pytest.raises(IndexCancelled):
            library.index(folder, cancelled=lambda: True, background=True)
        assert library.index(folder, report, background=True).added == 1
    assert seen[0] == "waiting for another index run"
