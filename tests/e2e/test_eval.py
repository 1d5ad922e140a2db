"""``alcove eval`` as a whole process."""

from __future__ import annotations

import pytest

from app.judgments import Judgments
from retrieval.types import Chunk, Passage
from tests.e2e.conftest import Home
from tests.fixtures.collections import write_collection, write_span_set


def test_keywords_are_measured_without_torch(home: Home) -> None:
    folder = write_collection(home.root / "set")
    home.environment["PYTHONPROFILEIMPORTTIME"] = "1"  # names every import on standard error
    prefix = str(home.root / "run")
    done = home.run("eval", str(folder), "--leg", "bm25", "--json", "--run", prefix)
    assert done.code == 0, done.err
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if "|" in line}
    assert "retrieval.evaluation.evaluate" in imported
    assert not imported & {"torch", "chromadb", "sentence_transformers"}

    document = done.json
    assert (document["documents"], document["queries"]) == (5, 3)
    assert list(document["legs"]) == ["bm25"]
    assert document["legs"]["bm25"]["MRR@10"] == 1.0
    assert document["legs"]["bm25"]["recall@100"] == pytest.approx(5 / 6)
    assert document["comparisons"] == []
    first = (home.root / "run.bm25.trec").read_text().splitlines()[0].split()
    assert (first[:4], first[5]) == (["q1", "Q0", "git/1", "1"], "alcove-bm25")
    assert not (home.alcove_home / "index").exists()  # the person's own index has no part in it


def test_odd_data_and_odd_use_are_told_in_two_lines(home: Home) -> None:
    folder = write_collection(home.root / "set")
    with (folder / "qrels.tsv").open("a") as file:
        file.write("q1\ttea\n")
    odd = home.run("eval", str(folder), "--leg", "bm25")
    assert (odd.code, odd.out) == (1, "")
    assert "qrels.tsv, line 7" in odd.err
    nowhere = home.run("eval", str(folder), "--run", str(home.root / "nowhere" / "run"))
    assert nowhere.code == 1
    assert "There is no folder" in nowhere.err
    assert home.run("eval", str(folder), "--leg", "both").code == 2


def test_spans_are_measured_and_the_texts_left_alone(home: Home) -> None:
    folder = write_span_set(home.root / "set")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    done = home.run("eval", "--chunks", str(folder), "-k", "1", "--leg", "bm25", "--json")
    assert done.code == 0, done.err
    assert (done.json["texts"], done.json["questions"], done.json["k"]) == (2, 2, 1)
    assert done.json["legs"]["bm25"]["recall@1"] == 1.0
    assert 0 < done.json["legs"]["bm25"]["precision@1"] == done.json["precision_omega"]
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert not (home.alcove_home / "index").exists()


def test_marked_sources_are_looked_for_in_the_persons_index(home: Home) -> None:
    nothing = home.run("eval", "--mine")
    assert (nothing.code, nothing.out) == (3, "")
    assert "No source is marked yet" in nothing.err

    assert home.run("index", str(home.notes)).code == 0
    judgments = Judgments(home.alcove_home / "judgments.jsonl")
    question = "what is the code word of the harbour?"
    text = (home.notes / "harbour.md").read_text().strip()
    chunk = Chunk("x", str(home.notes), "harbour.md", "", (), text, 1, 1)
    judgments.mark(question, Passage(chunk, 1.0, ()), "good")

    done = home.run("eval", "--mine", "--json")
    assert done.code == 0, done.err
    assert list(done.json["legs"]) == ["bm25", "vector", "hybrid"]
    assert (done.json["questions"], done.json["passage_questions"]) == (1, 1)
    assert done.json["legs"]["hybrid"]["recall@10"] == 1.0
    assert done.json["legs"]["hybrid"]["passage recall@10"] == 1.0

    (home.notes / "harbour.md").unlink()
    gone = home.run("eval", "--mine", "--leg", "bm25")
    assert gone.code == 3
    assert f"Left out: {question}" in gone.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "one of the arguments DIR --chunks --mine is required"),
        (("set", "--mine"), "not allowed with argument"),
        (("--chunks", "set", "--mine"), "not allowed with argument"),
        (("--mine", "-k", "3"), "-k goes with --chunks alone"),
        (("--mine", "--index", "x"), "--index does not go with --mine"),
        (("--chunks", "set", "--run", "x"), "--run goes with a data set alone"),
        (("--chunks", "set", "-k", "0"), "must be 1 or more"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    home: Home, arguments: tuple[str, ...], said: str
) -> None:
    done = home.run("eval", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_reranker_that_is_not_configured_is_told(home: Home) -> None:
    folder = write_span_set(home.root / "set")
    done = home.run("eval", "--chunks", str(folder), "--leg", "reranked")
    assert (done.code, done.out) == (1, "")
    assert "There is no reranker to measure." in done.err
    assert "settings.toml: reranker under [search]" in done.err
