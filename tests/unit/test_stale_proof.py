"""No passage is ever returned that is not in its file, whatever happened to the file since."""

import contextlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retrieval.library import Library
from retrieval.locking import WriteLock
from retrieval.types import LegChoice, Query, SearchResult
from tests.fixtures.word_embedder import WordEmbedder

LEGS: tuple[LegChoice, ...] = ("bm25", "vector", "hybrid")
WORDS = ("river", "stone", "amber", "kettle", "violin", "harbour", "moss", "lantern")
TEA = (
    "# Tea\n\nGreen tea wants water below boiling.\n\n## Black\n\nBlack tea takes boiling water.\n"
)


class Notes:
    """A folder and its index; what is found is compared with the files at once."""

    def __init__(self, folder: Path, library: Library) -> None:
        self.folder, self.library = folder, library
        self.checked = 0

    def search(self, text: str, leg: LegChoice, k: int = 20) -> SearchResult:
        result = self.library.search(Query(text, k=k, leg=leg))
        for passage in result.passages:
            path = self.folder / passage.chunk.note_path
            assert path.is_file(), f"{path.name} is gone"
            lines = path.read_text().split("\n")
            chunk = passage.chunk
            there = "\n".join(lines[chunk.first_line - 1 : chunk.last_line])
            # Part of a line may be a passage: long lines are cut.
            assert (
                chunk.text in there if chunk.first_line == chunk.last_line else there == chunk.text
            )
            self.checked += 1
        return result


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Notes]:
    folder = tmp_path / "notes"
    folder.mkdir()
    with Library(tmp_path / "index", WordEmbedder()) as library:
        yield Notes(folder, library)


@contextlib.contextmanager
def _another_writer(index: Path, wanted: bool) -> Iterator[None]:
    """Hold the write lock as another process does: the lock is another object's."""
    with WriteLock(index).hold(5.0) if wanted else contextlib.nullcontext():
        yield


def _random_text(rng: random.Random, stamp: int) -> str:
    sections = (
        f"## Part {part}\n\n{' '.join(rng.choices(WORDS, k=10))} {stamp}.\n"
        for part in range(rng.randint(0, 3))
    )
    return f"# Note {stamp}\n\n" + "\n".join(sections)


def _change(folder: Path, rng: random.Random, stamp: int) -> None:
    files = sorted(path for path in folder.rglob("*.md") if path.is_file())
    file = rng.choice(files)
    match rng.choice(["edit", "edit", "delete", "add", "rename", "swap", "replace", "directory"]):
        case "edit":
            file.write_text(_random_text(rng, stamp))
        case "delete" if len(files) > 5:
            file.unlink()
        case "add" | "delete":
            (folder / f"new{stamp}.md").write_text(_random_text(rng, stamp))
        case "rename":
            file.rename(folder / f"moved{stamp}.md")
        case "swap":
            other = rng.choice(files)
            file.rename(folder / "aside")
            if other.exists():
                other.rename(file)
            (folder / "aside").rename(other)
        case "replace":
            (folder / "fresh").write_text(_random_text(rng, stamp))
            (folder / "fresh").replace(file)
        case "directory":
            file.unlink()
            file.mkdir()
            (file / f"inside{stamp}.md").write_text(_random_text(rng, stamp))


@pytest.mark.parametrize("seed", range(6))
def test_random_changes_between_runs_and_searches(notes: Notes, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(15):
        (notes.folder / f"{number}.md").write_text(_random_text(rng, number))
    notes.library.index(notes.folder)
    for stamp in range(100, 140):
        for step in range(rng.randint(1, 3)):
            _change(notes.folder, rng, 10 * stamp + step)
        if rng.random() < 0.2:
            notes.library.index(notes.folder)
        with _another_writer(tmp_path / "index", wanted=rng.random() < 0.3):
            notes.search(" ".join(rng.sample(WORDS, 2)), rng.choice(LEGS))
    assert notes.checked > 100


Edit = Callable[[Path], object]


def _make_directory(note: Path) -> None:
    note.unlink()
    note.mkdir()


def _make_dead_link(note: Path) -> None:
    note.unlink()
    note.symlink_to("nowhere")


EDITS: dict[str, Edit] = {
    "edited": lambda note: note.write_text("# Tea\n\nWhite tea, kept cool.\n"),
    "cut short": lambda note: note.write_text(TEA[:30]),
    "moved down": lambda note: note.write_text("First line.\n\n" + TEA),
    "emptied": lambda note: note.write_text(""),
    "deleted": lambda note: note.unlink(),
    "renamed": lambda note: note.rename(note.with_name("other.md")),
    "made a directory": _make_directory,
    "made binary": lambda note: note.write_bytes(b"\0\1\2 tea boiling water"),
    "replaced by a dead link": _make_dead_link,
}


@pytest.mark.parametrize("leg", LEGS)
@pytest.mark.parametrize("locked", [False, True], ids=["alone", "beside another writer"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_what_is_gone_is_not_returned(
    notes: Notes, tmp_path: Path, edit: Edit, locked: bool, leg: LegChoice
) -> None:
    (notes.folder / "tea.md").write_text(TEA)
    (notes.folder / "bread.md").write_text("# Bread\n\nMix flour and water.\n")
    notes.library.index(notes.folder)
    notes.library.warm()
    assert notes.search("boiling water tea", leg).passages[0].chunk.note_path == "tea.md"
    edit(notes.folder / "tea.md")
    with _another_writer(tmp_path / "index", locked):
        result = notes.search("boiling water tea", leg)
    if locked:
        assert any("another process" in n or "process" in n for n in result.notices)


@pytest.mark.parametrize("leg", LEGS)
def test_an_edited_file_is_found_by_its_new_words_at_once(notes: Notes, leg: LegChoice) -> None:
    (notes.folder / "tea.md").write_text(TEA)
    notes.library.index(notes.folder)
    notes.library.warm()
    (notes.folder / "tea.md").write_text("# Tea\n\nBlack tea from Nepal takes boiling water.\n")
    result = notes.search("black tea boiling", leg)
    assert "Nepal" in result.passages[0].chunk.text


def test_an_update_of_named_files_is_stale_proof_too(notes: Notes) -> None:
    (notes.folder / "tea.md").write_text(TEA)
    (notes.folder / "bread.md").write_text("# Bread\n\nMix flour and water.\n")
    notes.library.index(notes.folder)
    (notes.folder / "tea.md").write_text("# Tea\n\nWhite tea with water.\n")
    (notes.folder / "bread.md").unlink()
    with notes.library._current.using() as opened:
        report = opened.indexer.update(
            notes.folder, {"tea.md", "bread.md"}, lambda _: None, lambda: False
        )
    assert report is not None
    assert (report.changed, report.removed) == (1, 1)
    assert notes.library.status().complete
    for leg in LEGS:
        assert [p.chunk.note_path for p in notes.search("water", leg).passages] == ["tea.md"]


def test_an_update_leaves_what_it_cannot_know_to_a_run(notes: Notes) -> None:
    (notes.folder / "tea.md").write_text(TEA)
    notes.library.index(notes.folder)
    (notes.folder / "new.md").write_text("# New\n")
    with notes.library._current.using() as opened:
        update = opened.indexer.update
        assert update(notes.folder, {"new.md"}, lambda _: None, lambda: False) is None
        gone = update(notes.folder, {"never.md"}, lambda _: None, lambda: False)
        assert gone is not None
        assert (gone.added, gone.changed, gone.removed) == (0, 0, 0)


def test_a_folder_that_vanishes_during_an_update_keeps_its_notes(notes: Notes) -> None:
    (notes.folder / "tea.md").write_text(TEA)
    notes.library.index(notes.folder)
    shutil.rmtree(notes.folder)
    with notes.library._current.using() as opened:
        update = opened.indexer.update
        assert update(notes.folder, {"tea.md"}, lambda _: None, lambda: False) is None
    assert notes.library.status().notes == 1
