"""Changes are followed into the index while somebody watches."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import watchfiles

from retrieval import watch as watching
from retrieval.errors import EmbedderError
from retrieval.library import Library
from retrieval.types import Cancelled, IndexReport, LegChoice, Query
from tests.fixtures.word_embedder import WordEmbedder

DEADLINE_SECONDS = 20.0


class Watched:
    """A library whose folder is watched in a thread, and what was told of it."""

    def __init__(self, library: Library, folder: Path) -> None:
        self.library = library
        self.folder = folder
        self.reports: list[IndexReport] = []
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        self.library.watch(self.folder, self.reports.append, self._cancelled.is_set)

    def stop(self) -> None:
        self._cancelled.set()
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()

    def ends(self) -> None:
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()

    def knows(self, *paths: str) -> None:
        """Wait until the index holds exactly these files, with all their vectors."""

        def settled() -> bool:
            store = self.library._indexes.store
            _, chunks, embedded = store.counts(str(self.folder), "words@1")
            return set(store.files(str(self.folder))) == set(paths) and chunks == embedded

        _wait(settled)

    def holds(self, path: str, text: str) -> None:
        """Wait until the index holds a file with this text."""
        _wait(
            lambda: any(text in chunk.text for chunk in self.library.chunks(self.folder, path)),
        )


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the folder more often, so that the tests take less time."""
    monkeypatch.setattr(watching, "_TICK_MS", 100)
    monkeypatch.setattr(watching, "_STEP_MS", 30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "tea.md").write_text("# Tea\n\nGreen tea.\n")
    (folder / "sub/bread.md").write_text("# Bread\n\nFlour and water.\n")
    return folder


@pytest.fixture
def watched(tmp_path: Path, folder: Path) -> Iterator[Watched]:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        watched = Watched(library, folder)
        try:
            watched.knows("tea.md", "sub/bread.md")
            yield watched
        finally:
            watched.stop()


def test_a_saved_file_is_found_in_both_legs(watched: Watched, folder: Path) -> None:
    (folder / "tea.md").write_text("# Tea\n\nOolong from the mountains.\n")
    watched.holds("tea.md", "Oolong")
    _wait(lambda: watched.library.status(folder).complete)
    legs: tuple[LegChoice, ...] = ("bm25", "vector")
    for leg in legs:
        result = watched.library.search(Query("oolong mountains", leg=leg, k=1))
        assert [p.chunk.note_path for p in result.passages] == ["tea.md"]
    assert watched.reports[-1].changed == 1


def test_an_edit_looks_at_its_file_alone(
    watched: Watched, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the folder was scanned")

    monkeypatch.setattr("retrieval.indexer.scan_folder", fail)
    (folder / "sub/bread.md").write_text("# Bread\n\nRye.\n")
    watched.holds("sub/bread.md", "Rye")
    (folder / "tea.md").unlink()
    watched.knows("sub/bread.md")


def test_files_come_move_and_go(watched: Watched, folder: Path) -> None:
    (folder / "new.md").write_text("# New\n\nzebra\n")
    watched.knows("tea.md", "sub/bread.md", "new.md")
    (folder / "new.md").rename(folder / "sub/old.md")
    watched.knows("tea.md", "sub/bread.md", "sub/old.md")
    shutil.rmtree(folder / "sub")
    watched.knows("tea.md")


def test_an_editor_that_replaces_the_file_is_followed(watched: Watched, folder: Path) -> None:
    (folder / ".tea.md.swp").write_text("swap")
    (folder / "tea.md~").write_text("new")
    (folder / "tea.md~").write_text("# Tea\n\nAssam.\n")
    (folder / "tea.md~").replace(folder / "tea.md")
    watched.holds("tea.md", "Assam")
    watched.knows("tea.md", "sub/bread.md")


def test_directories_that_come_are_followed_inside(watched: Watched, folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/deep.md").write_text("# Deep\n")
    watched.knows("tea.md", "sub/bread.md", "a/b/deep.md")
    (folder / "a/b/deeper.md").write_text("# Deeper\n")
    watched.knows("tea.md", "sub/bread.md", "a/b/deep.md", "a/b/deeper.md")
    (folder / "a").rename(folder / "c")
    watched.knows("tea.md", "sub/bread.md", "c/b/deep.md", "c/b/deeper.md")
    (folder / "c/b/deep.md").write_text("# Deep\n\nquokka\n")
    watched.holds("c/b/deep.md", "quokka")


def test_every_other_collection_is_followed_too(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    reports: list[IndexReport] = []
    cancelled = threading.Event()
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(other)
        thread = threading.Thread(
            target=library.watch, args=(folder, reports.append, cancelled.is_set, True)
        )
        thread.start()
        try:
            _wait(lambda: len(library._indexes.store.files(str(folder))) == 2)
            (other / "there.md").write_text("# There\n")
            _wait(lambda: sum(report.added for report in reports) == 3)
            assert library.chunks(other, "there.md")
        finally:
            cancelled.set()
            thread.join(DEADLINE_SECONDS)
        assert not thread.is_alive()


def test_ignore_files_count_at_once(watched: Watched, folder: Path) -> None:
    (folder / ".alcoveignore").write_text("sub/\n")
    watched.knows("tea.md")
    (folder / ".alcoveignore").unlink()
    watched.knows("tea.md", "sub/bread.md")


def test_a_folder_that_goes_is_waited_for(watched: Watched, folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    _wait(lambda: bool(watched.library.status().notices))
    assert watched.library.status().notes == 2, "what it held is kept"
    folder.mkdir()
    (folder / "fresh.md").write_text("# Fresh\n")
    watched.knows("fresh.md")
    (folder / "fresh.md").write_text("# Fresh\n\nnarwhal\n")
    watched.holds("fresh.md", "narwhal")


def test_a_mount_that_is_empty_for_now_costs_nothing(
    watched: Watched, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, rests = watching._rest, list[int]()

    def count(cancelled: Cancelled) -> None:
        rests.append(len(list(tmp_path.iterdir())))
        rest(cancelled)

    monkeypatch.setattr(watching, "_GONE_SECONDS", 0.05)
    monkeypatch.setattr(watching, "_rest", count)
    folder.rename(tmp_path / "drive")
    folder.mkdir()  # As a mount point looks when its drive is unplugged.
    _wait(lambda: len(rests) > 3)
    assert watched.library._indexes.store.files(str(folder)).keys() == {"tea.md", "sub/bread.md"}
    folder.rmdir()
    (tmp_path / "drive").rename(folder)
    (folder / "tea.md").write_text("# Tea\n\nDarjeeling.\n")
    watched.holds("tea.md", "Darjeeling")


def test_a_forgotten_folder_is_not_indexed_again(watched: Watched, folder: Path) -> None:
    assert watched.library.forget(folder) is not None
    (folder / "tea.md").write_text("# Tea\n\nAgain.\n")
    watched.ends()
    assert watched.library.status().folders == ()


def test_where_the_system_cannot_watch_files_are_looked_at(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = watchfiles.watch

    def without_watches(*paths: Path | str, force_polling: bool, **named: object) -> object:
        if not force_polling:
            raise OSError("OS file watch limit reached")
        return real(*paths, force_polling=True, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(watchfiles, "watch", without_watches)
    monkeypatch.setattr(watching, "_POLL_MS", 50)
    monkeypatch.setattr(watching, "_SETTLE_SECONDS", 1.0)  # An edit within the second is missed.
    with Library(tmp_path / "index", WordEmbedder()) as library:
        watched = Watched(library, folder)
        try:
            watched.knows("tea.md", "sub/bread.md")
            (folder / "tea.md").write_text("# Tea\n\nKeemun, long leaves.\n")
            watched.holds("tea.md", "Keemun")
        finally:
            watched.stop()
    assert "watch limit reached" in watched.reports[0].notices[0]


_FOLLOW = """
import sys
from pathlib import Path
from retrieval.files.scanning import scan_folder
from retrieval.watch import follow

folder = Path(sys.argv[1])
told = follow(folder, lambda: scan_folder(folder).directories, bool, lambda: False)
print(next(told).notice)
"""


@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_when_the_system_has_no_watches_left_it_is_said(folder: Path, limit: str) -> None:
    set_limit = f"echo 0 > /proc/sys/user/{limit}"
    unshare = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    if subprocess.run([*unshare, set_limit], capture_output=True, check=False).returncode:
        pytest.skip("limits cannot be set for a process here")
    command = [
        *unshare,
        f'{set_limit} && exec "$@"',
        "sh",
        sys.executable,
        "-c",
        _FOLLOW,
        str(folder),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.startswith(f"The system cannot watch {folder} (")
    assert told.stdout.endswith("so Alcove looks for changes every 3 seconds.\n")


def test_a_link_is_followed_no_further_than_a_scan_does(
    watched: Watched, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.md").write_text("# Secret\n")
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "after.md").write_text("# After\n")
    watched.knows("tea.md", "sub/bread.md", "after.md")


def test_a_failure_is_told_once_and_the_watch_goes_on(
    watched: Watched, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_SETTLE_SECONDS", 1000.0)

    def fail(*_: object, **__: object) -> None:
        raise EmbedderError("The embedder is broken.", "Mend it.")

    with monkeypatch.context() as broken:
        broken.setattr("retrieval.indexer.embed_in_batches", fail)
        (folder / "tea.md").write_text("# Tea\n\nOne.\n")
        _wait(lambda: bool(watched.reports[-1].notices))
        told = len(watched.reports)
        (folder / "sub/bread.md").write_text("# Bread\n\nTwo.\n")
        watched.holds("sub/bread.md", "Two")
    (folder / "tea.md").write_text("# Tea\n\nThree.\n")
    watched.holds("tea.md", "Three")
    watched.knows("tea.md", "sub/bread.md")  # What failed before is tried again with it.
    assert "The embedder is broken." in watched.reports[told - 1].notices[0]
    assert sum(bool(report.notices) for report in watched.reports) == 1
