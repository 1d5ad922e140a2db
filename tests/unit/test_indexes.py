"""The store and both legs in step: when a disk is full, a folder is forgotten, a server is slow."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import RetrievalError
from retrieval.library import Library
from retrieval.notes import make_note
from retrieval.types import Note, Query
from retrieval.vectors import VectorIndex
from tests.fixtures.word_embedder import WordEmbedder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for n in range(20):
        (folder / f"{n}.md").write_text(f"# Note {n}\n\nword{n} in every note\n")
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "index", WordEmbedder()) as library:
        yield library


def _found(library: Library, text: str) -> list[str]:
    return [p.chunk.note_path for p in library.search(Query(text, k=40, leg="bm25")).passages]


def test_a_disk_that_fills_up_leaves_the_keyword_leg_as_the_store(
    library: Library, notes: Path, tmp_path: Path
) -> None:
    library.index(notes)
    assert len(_found(library, "every")) == 20
    database = library._indexes.store._database
    (pages,) = database.read("PRAGMA page_count")[0]
    for n in range(20, 40):
        (notes / f"{n}.md").write_text(
            f"# Note {n}\n\nword{n} in every note\n" + " ".join(f"t{n}x{i}" for i in range(300))
        )
    database._writer.execute(f"PRAGMA max_page_count = {pages + 30}")
    with pytest.raises(RetrievalError, match="disk is full"):
        library.index(notes)
    stored = {i for (i,) in database.read("SELECT id FROM chunks")}
    assert set(library._indexes.lexical().chunk_ids) == stored
    database._writer.execute("PRAGMA max_page_count = 1000000")
    library.index(notes)
    assert len(_found(library, "every")) == 40
    assert _found(library, "t31x7") == ["31.md"]
    with Library(tmp_path / "index", WordEmbedder()) as again:
        assert _found(again, "t31x7") == ["31.md"]
        assert _found(again, "word3") == ["3.md"]


def test_what_is_read_while_its_folder_is_forgotten_does_not_come_back(
    library: Library, notes: Path
) -> None:
    library.index(notes)
    with library._current.using() as opened:
        (notes / "3.md").write_text("# Three\n\nokapi\n")
        library.forget(notes)
        opened.indexer.refresh(notes, ["3.md"], 10)
        assert opened.indexes.store.chunk_ids(str(notes)) == []
    assert library.status().folders == ()


def test_two_threads_that_read_a_file_leave_what_it_says_last(
    library: Library, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index(notes)
    read, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Note:  # noqa: ANN401 (as they are)
        if b"first" in arguments[2]:
            read.set()
            assert go_on.wait(60)
        return make_note(*arguments)

    monkeypatch.setattr("retrieval.reading.make_note", slow)
    with library._current.using() as opened:

        def take() -> None:
            opened.indexer.refresh(notes, ["3.md"], 0)

        (notes / "3.md").write_text("# Three\n\nfirst\n")
        one = threading.Thread(target=take)
        one.start()
        assert read.wait(60)
        (notes / "3.md").write_text("# Three\n\nsecond\n")
        other = threading.Thread(target=take)
        other.start()
        other.join(0.2)  # It waits, or has read what the first is about to overwrite.
        go_on.set()
        one.join(60)
        other.join(60)
    assert [chunk.text for chunk in library.chunks(notes, "3.md")] == ["# Three\n\nsecond"]


def test_a_file_that_another_thread_has_read_since_keeps_what_it_stored(
    library: Library, notes: Path
) -> None:
    library.index(notes)
    store = library._indexes.store
    before = store.file(str(notes), "3.md")
    assert before is not None
    (notes / "3.md").write_text("# Three\n\nfor a moment\n")
    library.index(notes)
    store.touch(str(notes), "3.md", before.fingerprint)  # It reads as before again.
    now = store.file(str(notes), "3.md")
    assert now is not None
    assert now.fingerprint.sha256 != before.fingerprint.sha256


def test_keywords_answer_while_vectors_wait_to_be_handed_over(
    library: Library, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index(notes)
    entered, release = threading.Event(), threading.Event()
    add_texts = VectorIndex.add_texts

    def slow(leg: VectorIndex, keys: Sequence[bytes]) -> None:
        entered.set()
        assert release.wait(60)
        add_texts(leg, keys)

    monkeypatch.setattr(VectorIndex, "add_texts", slow)
    (notes / "new.md").write_text("# New\n\nnarwhal\n")
    running = threading.Thread(target=library.index, args=(notes,))
    running.start()
    try:
        assert entered.wait(60)
        found: list[str] = []
        asking = threading.Thread(
            target=lambda: found.extend(_found(library, "word7")), daemon=True
        )
        asking.start()
        asking.join(20)
        assert found == ["7.md"]
    finally:
        release.set()
        running.join()
    assert _found(library, "narwhal") == ["new.md"]
