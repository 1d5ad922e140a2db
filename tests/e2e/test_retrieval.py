"""A folder indexed and searched with the embedder that ships with Alcove."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.embedding import SentenceTransformerEmbedder, bundled_embedder
from retrieval.library import Library
from retrieval.types import Query

NOTES = {
    "git.md": "# Git\n\n## Take back a commit\n\n`git reset --soft HEAD~1` undoes the last commit"
    " and keeps what you changed in the index.\n",
    "garden.md": "# Garden\n\nPrune the apple trees in late winter, before the buds open.\n",
    "bread.md": "# Bread\n\nLet the dough rest overnight in the fridge for a better crust.\n",
    "bike.txt": "Oil the chain after every ride in the rain.\n",
}


@pytest.fixture(scope="module")
def embedder() -> SentenceTransformerEmbedder:
    embedder = bundled_embedder()
    embedder.load()
    return embedder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in NOTES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def library(
    tmp_path: Path, notes: Path, embedder: SentenceTransformerEmbedder
) -> Iterator[Library]:
    with Library(tmp_path / "index", embedder) as library:
        library.index(notes)
        yield library


@pytest.mark.parametrize(
    ("question", "path"),
    [
        ("when should fruit be cut back?", "garden.md"),
        ("looking after a bicycle", "bike.txt"),
        ("baking a loaf", "bread.md"),
        ("revert my latest commit", "git.md"),
    ],
)
def test_the_vector_leg_finds_meaning_without_shared_words(
    library: Library, question: str, path: str
) -> None:
    assert library.search(Query(question, leg="vector")).passages[0].chunk.note_path == path
    hybrid = library.search(Query(question))
    assert hybrid.legs == ("bm25", "vector")
    assert path in [p.chunk.note_path for p in hybrid.passages[:2]]


def test_a_changed_note_changes_what_is_found(library: Library, notes: Path) -> None:
    question = Query("looking after a bicycle")
    assert library.search(question).passages[0].chunk.text.startswith("Oil the chain")
    (notes / "bike.txt").write_text("Pump the tyres of the bicycle once a month.\n")
    top = library.search(question).passages[0]
    assert top.chunk.text.startswith("Pump the tyres")
    assert {c.leg for c in top.contributions} == {"bm25", "vector"}
    (notes / "bike.txt").unlink()
    assert library.search(question).passages[0].chunk.note_path != "bike.txt"


def test_vectors_are_those_of_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    embedder = bundled_embedder(bfloat16=False)
    texts = ["A short one.", "Ünïcode, and\nlines", "long " * 400, "x"]
    model = SentenceTransformer(str(embedder.directory), local_files_only=True)
    theirs = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    ours = embedder.embed_passages(texts)
    assert ours.shape == (4, 384)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_query(texts[0]), ours[0], atol=1e-5)

    reduced = bundled_embedder(bfloat16=True).embed_passages(texts)
    assert reduced.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(reduced, axis=1), 1, atol=1e-5)
    cosines = (reduced * ours).sum(axis=1)
    assert cosines.min() > 0.9999
    assert not np.array_equal(reduced, ours)


def test_threads_may_embed_at_once(embedder: SentenceTransformerEmbedder) -> None:
    expected = embedder.embed_query("one two three")
    results: list[float] = []

    def work() -> None:
        for size in (1, 7, 30):
            embedder.embed_passages(["some words here " * size] * 2)
            results.append(float(embedder.embed_query("one two three") @ expected))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(results, [1.0] * 9, atol=1e-4)


INDEX = """
import os, socket, sys
from pathlib import Path

def guard(event, arguments):
    if event == "socket.connect" and arguments[0].family != socket.AF_UNIX:
        print("network:", arguments, flush=True)
        os._exit(9)

sys.addaudithook(guard)
from retrieval.embedding import bundled_embedder
from retrieval.library import Library
from retrieval.types import Query
with Library(Path(sys.argv[1]), bundled_embedder()) as library:
    library.index(sys.argv[2], report=lambda p: print(p.label, p.done, flush=True))
    print(library.search(Query("apple trees in winter")).passages[0].chunk.note_path)
"""


def _run(index: Path, notes: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", INDEX, str(index), str(notes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_fresh_process_writes_no_stray_line_and_reaches_no_network(
    tmp_path: Path, notes: Path
) -> None:
    with _run(tmp_path / "index", notes) as process:
        out, err = process.communicate(timeout=120)
    assert err == ""
    assert process.returncode == 0, out
    assert out.splitlines()[-1] == "garden.md"


def test_a_kill_while_embedding_loses_nothing_that_was_read(
    tmp_path: Path, notes: Path, embedder: SentenceTransformerEmbedder
) -> None:
    for number in range(36):
        (notes / f"more{number}.md").write_text(f"# More {number}\n\n" + f"Fact {number}. " * 60)
    with _run(tmp_path / "index", notes) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("embedding") and not line.endswith(" 0\n"):
                break
        os.kill(process.pid, signal.SIGKILL)
    with Library(tmp_path / "index", embedder) as library:
        before = library.status(notes)
        assert before.notes == 40
        assert 0 < before.embedded < before.chunks
        assert library.search(Query("apple trees")).passages[0].chunk.note_path == "garden.md"
        assert library.index(notes).unchanged == 40
        after = library.status(notes)
        assert after.complete
        assert len(library._indexes.vectors()) == after.chunks
        assert len(library._indexes.lexical()) == after.chunks
