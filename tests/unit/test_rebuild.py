"""Another embedder or chunking: the index is built anew beside the old one, which answers."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval import chunking
from retrieval.errors import IndexCancelled, IndexDamagedError
from retrieval.library import Library
from retrieval.types import Embedder, IndexReport, LegChoice, Progress, Query
from tests.fixtures.word_embedder import WordEmbedder

Named = Callable[[str], Embedder | None]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return _folder(tmp_path / "notes", 12)


@pytest.fixture
def index(tmp_path: Path, notes: Path) -> Path:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(notes)
    return tmp_path / "index"


def _folder(folder: Path, count: int) -> Path:
    folder.mkdir()
    for n in range(count):
        (folder / f"note {n}.md").write_text(f"# {folder.name} {n}\n\nword{n} in {folder.name}.\n")
    return folder


def _named(name: str) -> Embedder | None:
    return WordEmbedder(name)


def _found(library: Library, text: str, leg: LegChoice = "hybrid") -> list[str]:
    return [p.chunk.note_path for p in library.search(Query(text, k=1, leg=leg)).passages]


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


class _Stop:
    """Cancels a run when a number of texts are embedded."""

    def __init__(self, embedder: WordEmbedder, after: int) -> None:
        self.embedder, self.after = embedder, after

    def __call__(self) -> bool:
        return len(self.embedder.embedded) >= self.after


def _many_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.bulk._MOST_TEXTS", 2)


def test_the_old_index_answers_with_its_own_embedder_until_the_new_one_is_ready(
    index: Path, notes: Path
) -> None:
    new = WordEmbedder("words@2")
    seen: list[tuple[str, ...]] = []
    with Library(index, new, embedder_named=_named) as library:
        before = library.search(Query("word3"))
        assert before.legs == ("bm25", "vector")
        assert "rebuild it: alcove index" in before.notices[-1]
        assert new.embedded == []

        def ask(_: Progress) -> None:
            result = library.search(Query("word3"))
            assert [p.chunk for p in result.passages] == [p.chunk for p in before.passages]
            seen.append((*result.legs, *result.notices))

        report = library.index(notes, ask)
        assert report.added == 12
        assert seen[0][:2] == ("bm25", "vector")
        assert any("is being rebuilt" in notice for notice in seen[-1])
        after = library.search(Query("word3"))
        assert after.notices == ()
        assert after.legs == ("bm25", "vector")
        assert library.status().complete
        assert len(new.embedded) == 12
    assert not (index / "index.sqlite3").exists(), "nobody needs the old one any more"
    assert sorted(p.name for p in index.glob("generation-*") if p.is_dir()) == ["generation-1"]
    with Library(index, WordEmbedder("words@2")) as library:
        assert library.index(notes).unchanged == 12


def test_keywords_answer_when_the_old_embedder_is_not_to_be_had(index: Path) -> None:
    with Library(index, WordEmbedder("words@2")) as library:
        result = library.search(Query("word3"))
        assert result.legs == ("bm25",)
        assert result.passages
        assert any("rebuild" in notice for notice in result.notices)


def test_what_is_cut_as_before_is_not_embedded_again(
    index: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunking, "VERSION", chunking.VERSION + 1)
    (notes / "note 3.md").write_text("# Three\n\nEntirely new words here.\n")
    embedder = WordEmbedder()
    with Library(index, embedder) as library:
        assert library.search(Query("word5")).legs == ("bm25", "vector")
        library.index(notes)
        assert len(embedder.embedded) == 1
        assert _found(library, "entirely new", "vector") == ["note 3.md"]
        assert library.status().complete


def test_a_rebuild_goes_on_where_it_was_stopped(
    index: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many_batches(monkeypatch)
    embedder = WordEmbedder("words@2")
    with Library(index, embedder, embedder_named=_named) as library:
        with pytest.raises(IndexCancelled):
            library.index(notes, cancelled=_Stop(embedder, 4))
        done = len(embedder.embedded)
        assert 4 <= done < 12
        status = library.status()
        assert not status.complete
        assert any("of 12 notes" in notice for notice in status.notices)
        assert _found(library, "word7") == ["note 7.md"]
    again = WordEmbedder("words@2")
    with Library(index, again, embedder_named=_named) as library:
        library.index(notes)
        assert len(again.embedded) <= 12 - done + 2
        assert library.status().complete


def test_a_half_built_one_by_yet_other_rules_is_thrown_away(
    index: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many_batches(monkeypatch)
    embedder = WordEmbedder("words@2")
    with (
        Library(index, embedder) as library,
        pytest.raises(IndexCancelled),
    ):
        library.index(notes, cancelled=_Stop(embedder, 4))
    with Library(index, WordEmbedder("words@3"), embedder_named=_named) as library:
        library.index(notes)
        assert library.status().embedded == 12
        store = library._indexes.store
        assert store.vectors.count("words@3") == 12
        assert store.vectors.count("words@2") == 0


def test_going_back_to_the_old_rules_leaves_nothing_behind(
    index: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many_batches(monkeypatch)
    embedder = WordEmbedder("words@2")
    with Library(index, embedder) as library, pytest.raises(IndexCancelled):
        library.index(notes, cancelled=_Stop(embedder, 4))
    assert (index / "generation-1").exists()
    back = WordEmbedder()
    with Library(index, back) as library:
        assert library.index(notes).unchanged == 12
    assert back.embedded == []
    assert not (index / "generation-1").exists()


def test_another_process_follows_to_the_new_generation(index: Path, notes: Path) -> None:
    with (
        Library(index, WordEmbedder("words@2"), embedder_named=_named) as ours,
        Library(index, WordEmbedder("words@2"), embedder_named=_named) as theirs,
    ):
        assert theirs.search(Query("word3")).notices
        ours.index(notes)
        assert (index / "index.sqlite3").exists(), "the other one still has it open"
        assert theirs.search(Query("word3")).notices == ()
        assert theirs.status().complete
        assert not (index / "index.sqlite3").exists()
        (notes / "new.md").write_text("# New\n\nzebra\n")
        assert theirs.index(notes).added == 1
        assert _found(ours, "zebra") == ["new.md"]


def test_every_folder_comes_over_and_one_that_is_away_is_carried(
    index: Path, notes: Path, tmp_path: Path
) -> None:
    second, away = _folder(tmp_path / "second", 5), _folder(tmp_path / "away", 5)
    with Library(index, WordEmbedder()) as library:
        library.index(second)
        library.index(away)
        names = library._indexes.store.collections.names()
    away.rename(tmp_path / "elsewhere")
    embedder = WordEmbedder("words@2")
    with Library(index, embedder, embedder_named=_named) as library:
        library.index(second)
        status = library.status()
        assert len(status.folders) == 3
        assert status.notes == 22
        assert len(embedder.embedded) == 17
        assert library._indexes.store.collections.names() == names
        (tmp_path / "elsewhere").rename(away)
        assert library.status(away).pending == 5
        assert _found(library, "word2 away", "bm25") == ["note 2.md"]
        library.index(away)
        assert library.status(away).complete


@pytest.mark.parametrize("asked", ["empty", "notes"])
def test_a_folder_that_is_empty_for_now_comes_over(
    index: Path, notes: Path, tmp_path: Path, asked: str
) -> None:
    empty = _folder(tmp_path / "empty", 5)
    with Library(index, WordEmbedder()) as library:
        library.index(empty)
    empty.rename(tmp_path / "drive")
    empty.mkdir()
    with Library(index, WordEmbedder("words@2"), embedder_named=_named) as library:
        library.index(tmp_path / asked)
        assert library.status().notes == 17
        assert not library._indexes.outdated
        empty.rmdir()
        (tmp_path / "drive").rename(empty)
        library.index(empty)
        assert library.status(empty).complete
        assert _found(library, "word2 empty") == ["note 2.md"]


def test_what_changes_after_it_was_brought_over_is_brought_over_again(
    index: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many_batches(monkeypatch)
    second = _folder(tmp_path / "second", 5)
    with Library(index, WordEmbedder()) as library:
        library.index(second)
    embedder = WordEmbedder("words@2")
    with Library(index, embedder, embedder_named=_named) as library:

        def change_what_is_done() -> None:
            if len(embedder.embedded) == 14:  # Of the second folder, the first being done.
                (notes / "note 3.md").write_text("# Three\n\nokapi\n")
                (notes / "note 4.md").unlink()
                with library._current.using() as old:  # As a watch does it meanwhile.
                    old.indexer.refresh(notes, ["note 3.md", "note 4.md"], 0)

        embedder.before_batch = change_what_is_done
        library.index(notes)
        assert library.status().complete
        assert _found(library, "okapi") == ["note 3.md"]
        assert library.status(notes).notes == 11


def test_a_folder_forgotten_meanwhile_does_not_come_back(
    index: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many_batches(monkeypatch)
    second = _folder(tmp_path / "second", 5)
    with Library(index, WordEmbedder()) as library:
        library.index(second)
    embedder = WordEmbedder("words@2")
    with Library(index, embedder) as library:
        with pytest.raises(IndexCancelled):
            library.index(second, cancelled=_Stop(embedder, 7))
        assert library.forget(second) is not None
        library.index(notes)
        assert library.status().folders == (str(notes),)
        assert library._indexes.store.vectors.count("words@2") == 12


def test_a_new_folder_is_found_by_keyword_during_the_rebuild(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many_batches(monkeypatch)
    second = _folder(tmp_path / "second", 5)
    embedder = WordEmbedder("words@2")
    with Library(index, embedder) as library:
        with pytest.raises(IndexCancelled):
            library.index(second, cancelled=_Stop(embedder, 2))
        assert _found(library, "word2 second") == ["note 2.md"]
        assert library.status().notes == 17


@pytest.mark.parametrize("named", [_named, None], ids=["embedder known", "embedder gone"])
def test_an_index_to_be_rebuilt_is_kept_up_to_date_as_it_is(
    index: Path, notes: Path, named: Named | None
) -> None:
    ours = WordEmbedder("words@2")
    cancelled = threading.Event()
    with Library(index, ours, embedder_named=named) as library:
        reports: list[IndexReport] = []
        watching = threading.Thread(
            target=library.watch, args=(notes, reports.append, cancelled.is_set)
        )
        (notes / "note 3.md").write_text("# Three\n\nokapi\n")
        watching.start()
        try:
            _until(lambda: len(reports) == 1)
            (notes / "note 4.md").write_text("# Four\n\nmarmot\n")
            _until(lambda: len(reports) == 2)
        finally:
            cancelled.set()
            watching.join(20.0)
        for word, path in (("okapi", "note 3.md"), ("marmot", "note 4.md")):
            assert _found(library, word, "bm25") == [path]
        assert (index / "index.sqlite3").exists()
        assert library._indexes.store.vectors.count("words@1") == (12 if named else 10)
    assert ours.embedded == []


def test_a_pointer_that_says_nothing_is_damage_with_a_remedy(index: Path) -> None:
    (index / "current").write_text("generation-x")
    with pytest.raises(IndexDamagedError, match="generation-x"):
        Library(index, WordEmbedder())
    (index / "current").write_text("generation-7")
    with pytest.raises(IndexDamagedError, match="which is not there"):
        Library(index, WordEmbedder())
    (index / "current").unlink()
    with Library(index, WordEmbedder()) as library:
        assert library.status().notes == 12


def test_what_a_kill_left_beside_the_current_generation_is_deleted(index: Path) -> None:
    shutil.copytree(index, index / "generation-7", ignore=shutil.ignore_patterns("generation-*"))
    with Library(index, WordEmbedder()) as library:
        assert library.status().notes == 12
    assert not (index / "generation-7").exists()
