"""Indexing and searching through the facade, with an embedder that takes no time."""

import errno
import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import (
    EmbedderError,
    FolderError,
    IndexCancelled,
    IndexDamagedError,
    IndexMissingError,
    VectorIndexError,
)
from retrieval.fusion import LEG_WEIGHTS
from retrieval.library import Library
from retrieval.types import Forgotten, LegChoice, Progress, Query, SearchResult
from retrieval.vectors import VectorIndex
from tests.fixtures.word_embedder import WordEmbedder

NOTES = {
    "git.md": "# Undo a commit\n\nRun git reset --soft to keep the changes.\n",
    "sub/bread.md": "# Bread\n\nMix flour, water and salt. Bake it hot.\n",
    "tea.txt": "Green tea wants water below boiling.\n",
}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    for path, text in NOTES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    _age(folder)
    return folder


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def library(tmp_path: Path, embedder: WordEmbedder) -> Iterator[Library]:
    with Library(tmp_path / "index", embedder) as library:
        yield library


def _age(folder: Path) -> None:
    """Date files back, so that their times can be trusted at once."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(10**18, 10**18))


def _paths(result: SearchResult) -> list[str]:
    return [p.chunk.note_path for p in result.passages]


def _counts(library: Library, notes: Path) -> tuple[int, int, int, int]:
    report = library.index(notes)
    return report.added, report.changed, report.removed, report.unchanged


def test_each_run_does_only_what_changed(library: Library, notes: Path) -> None:
    assert _counts(library, notes) == (3, 0, 0, 0)
    assert _counts(library, notes) == (0, 0, 0, 3)
    (notes / "tea.txt").write_text("Black tea takes boiling water, three minutes.\n")
    (notes / "sub/bread.md").unlink()
    (notes / "new.md").write_text("New.")
    assert library.status(notes).pending == 3
    assert _counts(library, notes) == (1, 1, 1, 1)
    assert library.status(notes).complete


def test_a_touched_file_is_unchanged(library: Library, notes: Path, embedder: WordEmbedder) -> None:
    library.index(notes)
    done = len(embedder.embedded)
    os.utime(notes / "git.md")
    assert library.status(notes).pending == 0
    assert _counts(library, notes) == (0, 0, 0, 3)
    assert len(embedder.embedded) == done


def test_a_rewrite_of_the_same_size_within_one_tick_is_seen(library: Library, notes: Path) -> None:
    path = notes / "tea.txt"
    path.write_text("The code is 1234.\n")
    library.index(notes)
    stat = path.stat()
    path.write_text("The code is 5678.\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert library.index(notes).changed == 1


def test_both_legs_take_part_and_say_so(library: Library, notes: Path) -> None:
    library.index(notes)
    result = library.search(Query("undo the last commit"))
    assert result.legs == ("bm25", "vector")
    assert _paths(result)[0] == "git.md"
    top = result.passages[0]
    assert [c.leg for c in top.contributions] == ["bm25", "vector"]
    assert top.score == sum(c.score for c in top.contributions)
    assert (top.chunk.title, top.chunk.first_line, top.chunk.last_line) == ("Undo a commit", 1, 3)
    assert top.chunk.text == NOTES["git.md"].rstrip("\n")
    assert not result.stale
    assert result.notices == ()
    assert result.found == 3


@pytest.mark.parametrize("leg", ["bm25", "vector"])
def test_one_leg_alone(library: Library, notes: Path, leg: LegChoice) -> None:
    library.index(notes)
    result = library.search(Query("green tea water", leg=leg))
    assert result.legs == (leg,)
    assert _paths(result)[0] == "tea.txt"
    assert all([c.leg for c in p.contributions] == [leg] for p in result.passages)


def test_k_cuts_last(library: Library, notes: Path) -> None:
    library.index(notes)
    result = library.search(Query("water", k=1))
    assert len(result.passages) == 1
    assert result.found == 3


@pytest.mark.parametrize("query", ["", "  \n ", "\ud800"])
def test_nothing_asked_nothing_found(library: Library, notes: Path, query: str) -> None:
    library.index(notes, embed=False)
    assert library.search(Query(query)).passages == ()


def test_a_changed_file_is_read_again_before_it_is_quoted(library: Library, notes: Path) -> None:
    library.index(notes)
    (notes / "git.md").write_text("intro\n\n# Undo a commit\n\nUse git revert instead.\n")
    result = library.search(Query("undo commit git"))
    top = result.passages[0].chunk
    assert "git revert" in top.text
    assert [c.leg for c in result.passages[0].contributions] == ["bm25", "vector"]
    assert not any("--soft" in p.chunk.text for p in result.passages)
    assert not result.stale


def test_a_deleted_file_is_dropped(library: Library, notes: Path) -> None:
    library.index(notes)
    (notes / "git.md").unlink()
    result = library.search(Query("undo commit git"))
    assert "git.md" not in _paths(result)
    assert library.status(notes).notes == 2


def test_a_new_file_makes_the_answer_stale(library: Library, notes: Path) -> None:
    library.index(notes)
    (notes / "new.md").write_text("Something else.")
    result = library.search(Query("tea"))
    assert result.stale
    assert any(f"alcove index {notes}" in notice for notice in result.notices)


def test_a_folder_that_went_away_gives_no_passages_and_keeps_the_index(
    library: Library, notes: Path
) -> None:
    library.index(notes)
    notes.rename(notes.with_name("elsewhere"))
    result = library.search(Query("tea"))
    assert (result.passages, result.stale) == ((), False)
    (notice,) = result.notices
    assert "is not there" in notice
    assert f"alcove forget {notes}" in notice
    assert library.search(Query("tea", folders=(str(notes),))).stale
    assert library.status().pending == 0
    notes.with_name("elsewhere").rename(notes)
    assert _paths(library.search(Query("tea")))[0] == "tea.txt"


@pytest.mark.parametrize("code", [errno.EACCES, errno.ESTALE])
def test_a_folder_that_cannot_be_reached_does_not_silence_the_others(
    library: Library, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "tea.md").write_text("Tea with milk.\n")
    library.index(notes)
    library.index(other)
    _cut_off(monkeypatch, other, code)
    result = library.search(Query("tea"))
    assert {p.chunk.folder for p in result.passages} == {str(notes)}
    assert any(f"{other} cannot be reached" in n for n in result.notices)
    assert not any("forget" in n for n in result.notices)
    assert not result.stale
    status = library.status()
    assert (status.notes, status.pending) == (4, 0)


def test_a_subfolder_that_cannot_be_listed_for_a_moment_keeps_its_notes(
    library: Library, notes: Path, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index(notes)
    done = len(embedder.embedded)
    with monkeypatch.context() as failing:
        _cut_off(failing, notes / "sub", errno.EACCES)
        assert "sub/bread.md" not in _paths(library.search(Query("bread flour")))
        report = library.index(notes)
        assert (report.removed, report.chunks) == (0, 3)
        assert [s.path for s in report.skipped] == ["sub"]
        assert library.status(notes).pending == 0
    assert _counts(library, notes) == (0, 0, 0, 3)
    assert _paths(library.search(Query("bread flour")))[0] == "sub/bread.md"
    assert len(embedder.embedded) == done
    assert library.status(notes).complete


def test_a_folder_that_is_empty_keeps_its_notes_until_they_are_forgotten(
    library: Library, notes: Path, tmp_path: Path, embedder: WordEmbedder
) -> None:
    library.index(notes)
    embedded = len(embedder.embedded)
    notes.rename(tmp_path / "drive")
    notes.mkdir()  # As a mount point looks when its drive is unplugged.
    result = library.search(Query("green tea"))
    assert (result.passages, result.stale) == ((), False)
    assert "drive is not plugged in" in result.notices[0]
    report = library.index(notes)
    assert (report.removed, report.chunks) == (0, 3)
    assert f"alcove forget {notes}" in report.notices[0]
    status = library.status()
    assert (status.notes, status.pending) == (3, 0)
    assert status.notices[0] == result.notices[0]
    notes.rmdir()
    (tmp_path / "drive").rename(notes)
    assert _counts(library, notes) == (0, 0, 0, 3)
    assert _paths(library.search(Query("green tea", k=1))) == ["tea.txt"]
    assert len(embedder.embedded) == embedded


def test_a_folder_that_lost_all_it_had_says_so(library: Library, notes: Path) -> None:
    library.index(notes)
    shutil.rmtree(notes)
    notes.mkdir()
    (notes / "other.md").write_text("# Other\n")
    report = library.index(notes)
    assert (report.added, report.removed) == (1, 3)
    assert report.notices == (
        f"None of what {notes} held before is there any more; the index has forgotten it.",
    )


def test_a_file_that_vanishes_before_it_is_read_is_gone(library: Library, notes: Path) -> None:
    library.index(notes)
    (notes / "new.md").write_text("New.")
    (notes / "tea.txt").write_text("Other tea.")

    def take_away(_: Progress) -> None:
        (notes / "new.md").unlink(missing_ok=True)
        (notes / "tea.txt").unlink(missing_ok=True)

    report = library.index(notes, take_away)
    assert (report.added, report.changed, report.removed, report.unchanged) == (0, 0, 1, 2)
    assert report.skipped == ()


def _cut_off(monkeypatch: pytest.MonkeyPatch, place: Path, code: int) -> None:
    """Let every system call on what is below a path fail, as for a share that is gone."""

    def cut(name: str) -> None:
        real = getattr(os, name)

        def call(path: object, *arguments: object, **named: object) -> object:
            if isinstance(path, (str, os.PathLike)) and Path(path).is_relative_to(place):
                raise OSError(code, os.strerror(code))
            return real(path, *arguments, **named)

        monkeypatch.setattr(os, name, call)

    for name in ("stat", "scandir", "open"):
        cut(name)


def test_without_vectors_keywords_answer(
    library: Library, notes: Path, embedder: WordEmbedder
) -> None:
    library.index(notes, embed=False)
    result = library.search(Query("tea"))
    assert result.legs == ("bm25",)
    assert result.stale
    assert any("no embeddings yet" in n for n in result.notices)
    assert not embedder.loaded
    assert not library.search(Query("tea", leg="bm25")).stale


def test_a_search_that_must_not_wait_answers_by_keywords(tmp_path: Path, notes: Path) -> None:
    with Library(tmp_path / "index", WordEmbedder()) as first:
        first.index(notes)
    with Library(tmp_path / "index", WordEmbedder()) as library:
        result = library.search(Query("tea", wait=False))
        assert result.legs == ("bm25",)
        assert any("still loading" in n for n in result.notices)
        library.warm()
        assert library.search(Query("tea", wait=False)).legs == ("bm25", "vector")


def test_searches_answer_while_a_folder_is_embedded(
    library: Library, notes: Path, embedder: WordEmbedder
) -> None:
    seen: list[SearchResult] = []
    embedder.before_batch = lambda: seen.append(library.search(Query("tea", leg="bm25")))
    library.index(notes, background=True)
    assert _paths(seen[0])[0] == "tea.txt"


def test_a_leg_weighs_what_it_covers(library: Library, notes: Path, embedder: WordEmbedder) -> None:
    library.index(notes)
    (notes / "more.md").write_text("More about tea.")
    library.index(notes, embed=False)
    result = library.search(Query("tea"))
    explanation = library.search(Query("tea", explain=True)).explanation
    assert explanation is not None
    weights = dict(explanation.weights)
    assert weights == {"bm25": LEG_WEIGHTS["bm25"], "vector": 0.75 * LEG_WEIGHTS["vector"]}
    assert "meaning covers 75% of the chunks" in explanation.why_weights
    assert result.stale
    assert any("1 of 4 chunks" in n for n in result.notices)


def test_progress_counts_up_to_its_total(library: Library, notes: Path) -> None:
    seen: list[Progress] = []
    library.index(notes, report=seen.append)
    assert {p.label for p in seen} == {"reading notes", "embedding"}
    for label in ("reading notes", "embedding"):
        done = [p.done for p in seen if p.label == label]
        assert done == sorted(done)
        assert done[-1] == 3


def test_a_stop_keeps_what_was_done(
    library: Library, notes: Path, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "retrieval.storage.database._GROUP_SECONDS", 0.0
    )  # The run is over in less.
    with pytest.raises(IndexCancelled):
        library.index(notes, cancelled=lambda: library.status(notes).notes == 2)
    assert library.status(notes).notes == 2
    embedder.before_batch = lambda: pytest.fail("embedded before every note was read")
    with pytest.raises(IndexCancelled):
        library.index(notes, cancelled=lambda: library.status(notes).notes == 3)
    embedder.before_batch = lambda: None
    assert _counts(library, notes) == (0, 0, 0, 3)
    assert library.status(notes).complete


def test_the_same_text_is_embedded_once(
    library: Library, notes: Path, embedder: WordEmbedder
) -> None:
    library.index(notes)
    done = len(embedder.embedded)
    (notes / "git.md").rename(notes / "moved.md")
    (notes / "copy.md").write_text(NOTES["git.md"])
    assert _counts(library, notes) == (2, 0, 1, 2)
    assert len(embedder.embedded) == done
    paths = _paths(library.search(Query("undo commit", leg="vector")))
    assert set(paths[:2]) == {"moved.md", "copy.md"}


def test_opened_again_it_answers_the_same(tmp_path: Path, notes: Path) -> None:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(notes)
        before = library.search(Query("water and tea"))
    embedder = WordEmbedder()
    with Library(tmp_path / "index", embedder) as library:
        assert library.search(Query("water and tea")).passages == before.passages
        assert library.index(notes).unchanged == 3
    assert embedder.embedded == []


def test_chroma_is_rebuilt_from_the_store(tmp_path: Path, notes: Path) -> None:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(notes)
        before = library.search(Query("tea", leg="vector"))
    for path in (tmp_path / "index/chroma").rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage" * 100)
    embedder = WordEmbedder()
    with Library(tmp_path / "index", embedder) as library:
        generation = library._indexes.store.generation()
        assert library.search(Query("tea", leg="vector")).passages == before.passages
        assert library._indexes.store.generation() > generation, "others would not reopen it"
        assert library._indexes.vectors_ready
    assert embedder.embedded == []


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), MemoryError()])
def test_what_chroma_cannot_help_does_not_cost_its_folder(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(notes)
    marker = tmp_path / "index/chroma/marker"
    marker.touch()

    def fail(*_: object, **__: object) -> None:
        raise failure

    with Library(tmp_path / "index", WordEmbedder()) as library:
        with monkeypatch.context() as failing:
            failing.setattr("chromadb.PersistentClient", fail)
            with pytest.raises(VectorIndexError, match="cannot be used now"):
                library.search(Query("tea", leg="vector"))
            result = library.search(Query("tea"))
            assert result.legs == ("bm25",)
            assert any("left as it is" in n for n in result.notices)
        assert library.search(Query("tea")).legs == ("bm25", "vector")
    assert marker.exists()


def test_chroma_is_tried_twice_before_its_folder_is_removed(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import chromadb

    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(notes)
    marker = tmp_path / "index/chroma/marker"
    marker.touch()
    real, calls = chromadb.PersistentClient, itertools.count()

    def fail_once(*arguments: Any, **named: Any) -> object:  # noqa: ANN401
        if not next(calls):
            raise RuntimeError("busy")
        return real(*arguments, **named)

    monkeypatch.setattr(chromadb, "PersistentClient", fail_once)
    with Library(tmp_path / "index", WordEmbedder()) as library:
        assert library.search(Query("tea")).legs == ("bm25", "vector")
    assert marker.exists()


def test_vectors_lost_between_store_and_chroma_are_added_on_opening(
    tmp_path: Path, notes: Path
) -> None:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(notes)
        gone = library._indexes.store.vectors.keys("words@1")
        leg = library._indexes.vectors()
        assert isinstance(leg, VectorIndex)
        leg._chroma.remove(sorted(gone))
    with Library(tmp_path / "index", WordEmbedder()) as library:
        assert library.search(Query("tea", leg="vector")).found == 3


def test_what_another_process_wrote_is_seen(tmp_path: Path, notes: Path) -> None:
    with (
        Library(tmp_path / "index", WordEmbedder()) as ours,
        Library(tmp_path / "index", WordEmbedder()) as theirs,
    ):
        ours.index(notes)
        assert _paths(theirs.search(Query("tea", leg="bm25"))) == ["tea.txt"]
        (notes / "coffee.md").write_text("# Coffee\n\nGrind it fresh.\n")
        ours.index(notes)
        assert _paths(theirs.search(Query("coffee grind", leg="bm25"))) == ["coffee.md"]


def test_a_folder_that_another_process_adds_does_not_disturb_the_loading(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Library(tmp_path / "index", WordEmbedder()) as ours,
        Library(tmp_path / "index", WordEmbedder()) as theirs,
    ):
        monkeypatch.setattr("retrieval.storage.database._STREAMED_AT_ONCE", 1)
        ours.index(notes)
        batches = ours._indexes.store.all_terms()
        first = next(batches)
        other = notes.with_name("other")
        other.mkdir()
        (other / "coffee.md").write_text("# Coffee\n\nGrind it fresh.\n")
        theirs.index(other)
        all_of_them = [first, *batches]
        assert [batch.folders for batch in all_of_them] == [[str(notes)]] * 3


def test_other_rules_read_every_file_again(tmp_path: Path, notes: Path) -> None:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(notes)
    with Library(tmp_path / "index", WordEmbedder("words@2")) as library:
        assert _paths(library.search(Query("tea", leg="bm25")))[0] == "tea.txt"
        assert _counts(library, notes) == (3, 0, 0, 0)
        assert library.status(notes).complete


def test_unusable_files_are_listed_once_with_reasons(library: Library, notes: Path) -> None:
    (notes / "latin.md").write_bytes(bytes(range(1, 256)))
    (notes / "binary.txt").write_bytes(b"a\0b")
    os.mkfifo(notes / "pipe.md")
    first = library.index(notes)
    assert [s.path for s in first.skipped] == ["binary.txt", "latin.md", "pipe.md"]
    assert (first.added, first.unchanged) == (3, 0)
    again = library.index(notes)
    assert again.skipped == first.skipped
    assert (again.added, again.changed, again.unchanged) == (0, 0, 3)
    assert library.status(notes).pending == 0
    (notes / "latin.md").write_text("café")
    mended = library.index(notes)
    assert (mended.added, len(mended.skipped)) == (1, 2)


def test_a_file_that_could_not_be_read_once_is_tried_again(
    library: Library, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def fail(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).name == "tea.txt":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, flags, mode)

    with monkeypatch.context() as failing:
        failing.setattr(os, "open", fail)
        report = library.index(notes)
        assert [(s.path, s.reason) for s in report.skipped] == [
            ("tea.txt", "it cannot be read: permission denied")
        ]
        assert library.status(notes).pending == 0
    assert library.status(notes).pending == 1
    mended = library.index(notes)
    assert (mended.added, mended.skipped) == (1, ())


def test_an_empty_note_is_no_error(library: Library, notes: Path) -> None:
    (notes / "empty.md").write_text("")
    report = library.index(notes)
    assert (report.added, report.chunks, report.skipped) == (4, 3, ())


def test_an_empty_folder_is_indexed_and_finds_nothing(library: Library, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report = library.index(tmp_path / "empty")
    assert (report.added, report.chunks) == (0, 0)
    result = library.search(Query("anything"))
    assert (result.passages, result.stale) == ((), False)


def test_two_folders_are_searched_together_or_apart(
    library: Library, notes: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "tea.md").write_text("Tea with milk and water.\n")
    library.index(notes)
    library.index(other)
    everywhere = library.search(Query("tea water"))
    assert {p.chunk.folder for p in everywhere.passages} == {str(notes), str(other)}
    for leg in ("bm25", "vector", "hybrid"):
        alone = library.search(Query("tea water", leg=leg, folders=(str(other),)))
        assert [p.chunk.folder for p in alone.passages] == [str(other)]
    assert library.status().folders == (str(notes), str(other))
    assert library.status(other).notes == 1


def test_nested_folders_give_every_passage_once(library: Library, notes: Path) -> None:
    library.index(notes)
    library.index(notes / "sub")
    assert library.search(Query("bread flour water")).found == 4
    result = library.search(Query("bread flour water"))
    assert sorted(Path(p.chunk.folder, p.chunk.note_path) for p in result.passages) == [
        notes / "git.md",
        notes / "sub/bread.md",
        notes / "tea.txt",
    ]


def test_a_folder_that_is_gone_can_be_forgotten(
    library: Library, notes: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "tea.md").write_text("Tea with milk and water.\n")
    library.index(notes)
    library.index(other)
    assert library.search(Query("tea")).passages
    shutil.rmtree(other)
    assert library.forget(other) == Forgotten(str(other), 1, 1)
    assert library.forget(other) is None
    result = library.search(Query("tea milk"))
    assert {p.chunk.folder for p in result.passages} == {str(notes)}
    assert (result.found, result.notices, result.stale) == (3, (), False)
    store = library._indexes.store
    assert sum(map(len, store.all_terms())) == store.vectors.count("words@1") == 3
    assert library.status().folders == (str(notes),)


def test_a_run_that_finds_nothing_new_leaves_the_legs_loaded(library: Library, notes: Path) -> None:
    library.index(notes)
    library.warm()
    lexical = library._indexes.lexical()
    library.index(notes)
    assert library._indexes.vectors_ready
    assert library._indexes.lexical() is lexical
    assert library.search(Query("tea", wait=False)).legs == ("bm25", "vector")


@pytest.mark.parametrize("leg", ["bm25", "vector", "hybrid"])
@pytest.mark.parametrize("part", ["sub", "sub/bread.md"])
def test_a_part_of_an_indexed_folder_can_be_searched_alone(
    library: Library, notes: Path, leg: LegChoice, part: str
) -> None:
    (notes / "subway.md").write_text("Trains, not water.")
    library.index(notes)
    result = library.search(Query("water", leg=leg, folders=(str(notes / part),)))
    assert _paths(result) == ["sub/bread.md"]
    assert result.found == 1
    both = library.search(Query("water", leg=leg, folders=(str(notes / "sub"), str(notes))))
    assert len(both.passages) > 1
    with pytest.raises(IndexMissingError, match="no notes in"):
        library.search(Query("water", leg=leg, folders=(str(notes / "su"),)))


def test_errors_have_remedies(library: Library, notes: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError) as missing:
        library.search(Query("x"))
    assert "alcove index" in missing.value.remedy
    library.index(notes)
    with pytest.raises(IndexMissingError, match="elsewhere"):
        library.search(Query("x", folders=(str(tmp_path / "elsewhere"),)))
    with pytest.raises(FolderError):
        library.index(tmp_path / "elsewhere")


def test_a_folder_that_was_never_indexed_is_pending(library: Library, notes: Path) -> None:
    status = library.status(notes)
    assert (status.folders, status.notes, status.pending) == ((), 0, 3)


def test_a_damaged_database_says_what_to_delete(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index/index.sqlite3").write_bytes(b"not a database" * 1000)
    with pytest.raises(IndexDamagedError) as caught:
        Library(tmp_path / "index", WordEmbedder())
    assert str(tmp_path / "index") in caught.value.remedy


def test_a_database_of_another_layout_is_refused(tmp_path: Path) -> None:
    Library(tmp_path / "index", WordEmbedder()).close()
    connection = sqlite3.connect(tmp_path / "index/index.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IndexDamagedError, match="99"):
        Library(tmp_path / "index", WordEmbedder())


def test_a_broken_embedder_leaves_keyword_search(
    library: Library, notes: Path, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index(notes)

    def broken(text: str) -> None:
        raise EmbedderError("The weights were altered.", "Install them again.")

    monkeypatch.setattr(embedder, "embed_query", broken)
    result = library.search(Query("tea"))
    assert result.legs == ("bm25",)
    assert any("weights were altered" in n for n in result.notices)
    with pytest.raises(EmbedderError):
        library.search(Query("tea", leg="vector"))


def test_notes_are_never_written(library: Library, notes: Path) -> None:
    def state() -> dict[str, tuple[bytes, int]]:
        files = (p for p in notes.rglob("*") if p.is_file())
        return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}

    before = state()
    library.index(notes)
    library.search(Query("tea"))
    assert state() == before
