"""Reading test collections, their documents as notes, and runs."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import EvaluationError
from retrieval.evaluation.beir import (
    Document,
    document_id,
    note_path,
    read_dataset,
    write_corpus,
    write_run,
)
from tests.fixtures.collections import write_collection


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return write_collection(tmp_path / "set")


def test_a_collection_is_read_without_the_queries_that_nothing_answers(collection: Path) -> None:
    data = read_dataset(collection)
    assert data.documents["Bread"] == Document("Bread", "Mix flour, water and salt. Bake it hot.")
    assert list(data.queries) == ["q1", "q2", "q3"]
    assert data.judgments["q2"] == {"Bread": 2, "bread": 1}
    assert data.notices == ("1 of 4 queries have no relevant document: left out.",)


def test_judgments_may_be_where_beir_keeps_them(collection: Path) -> None:
    (collection / "qrels").mkdir()
    (collection / "qrels.tsv").rename(collection / "qrels" / "test.tsv")
    assert read_dataset(collection).judgments["q1"] == {"git/1": 1}


def test_a_judged_document_that_is_not_there_is_told_of(collection: Path) -> None:
    with (collection / "qrels.tsv").open("a") as file:
        file.write("q1\tnowhere\t1\n")
    data = read_dataset(collection)
    assert data.judgments["q1"] == {"git/1": 1, "nowhere": 1}
    assert "1 judged documents are not in the corpus, nowhere for one" in data.notices[0]


@pytest.mark.parametrize(
    ("name", "addition", "complaint"),
    [
        ("corpus.jsonl", b"{oops\n", "corpus.jsonl, line 6: it is not JSON"),
        ("corpus.jsonl", b"[1]\n", "line 6: it is not a JSON object"),
        ("corpus.jsonl", b'{"text": "x"}\n', "line 6: it has no _id"),
        ("corpus.jsonl", b'\n{"_id": "x"}\n', "line 7: it has no text"),
        ("corpus.jsonl", b'{"_id": "x", "text": "", "title": 3}\n', "line 6: it has no title"),
        ("corpus.jsonl", b'{"_id": "tea", "text": ""}\n', "line 6: the _id tea is there twice"),
        ("queries.jsonl", b"\xff\n", "queries.jsonl, line 5: it is not UTF-8 text"),
        ("qrels.tsv", b"q1 tea 1\n", "qrels.tsv, line 7: it is not a query id"),
        ("qrels.tsv", b"q1\ttea\t0.5\n", "line 7: it is not a query id"),
        ("qrels.tsv", b"q9\ttea\t1\n", "line 7: queries.jsonl has no query q9"),
        ("qrels.tsv", b"q3\ttea\t2\n", "line 7: tea has two grades for q3"),
    ],
)
def test_an_odd_line_is_named(collection: Path, name: str, addition: bytes, complaint: str) -> None:
    with (collection / name).open("ab") as file:
        file.write(addition)
    with pytest.raises(EvaluationError) as raised:
        read_dataset(collection)
    assert complaint in raised.value.title
    assert "BEIR" in raised.value.remedy


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_missing_file_is_named(collection: Path, name: str) -> None:
    (collection / name).unlink()
    with pytest.raises(EvaluationError, match=f"There is no file .*{name}"):
        read_dataset(collection)


def test_a_missing_folder_header_or_judgment_is_told(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="There is no folder"):
        read_dataset(tmp_path / "nowhere")
    qrels = collection / "qrels.tsv"
    qrels.write_text("q1\ttea\t1\n")
    with pytest.raises(EvaluationError, match="line 1: the header"):
        read_dataset(collection)
    qrels.write_text("query-id\tcorpus-id\tscore\nq1\ttea\t0\n")
    with pytest.raises(EvaluationError, match="has a relevant document"):
        read_dataset(collection)


@given(st.text(st.characters(codec=None), min_size=1))
def test_a_path_gives_its_id_back_and_is_safe_on_any_file_system(name: str) -> None:
    path = PurePosixPath(note_path(name), "-.md")
    assert document_id(str(path)) == name
    assert all(len(part) <= 200 and not part.startswith(".") for part in path.parts)
    assert str(path) == str(path).lower()


def test_the_corpus_follows_the_documents_and_leaves_what_is_right(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    write_corpus({"a": Document("Title", "Text"), "b": Document("", "B\0b \ud800")}, folder)
    kept = folder / "a" / "-.md"
    assert kept.read_text() == "# Title\n\nText"
    assert (folder / "b" / "-.txt").read_text() == "B b ?"
    before = kept.stat().st_mtime_ns
    write_corpus({"a": Document("Title", "Text"), "c": Document("", "C")}, folder)
    assert kept.stat().st_mtime_ns == before
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == ["a/-.md", "c/-.txt"]


def test_a_run_has_the_six_columns_of_trec(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    write_run(path, {"q1": [("d2", 0.5), ("d1", 0.25)], "q2": []}, "tag")
    assert path.read_text() == "q1 Q0 d2 1 0.5 tag\nq1 Q0 d1 2 0.25 tag\n"


def test_a_run_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="do not fit a TREC run"):
        write_run(tmp_path / "run.trec", {"q1": [("two words", 1.0)]}, "tag")
    with pytest.raises(EvaluationError, match="cannot be written"):
        write_run(tmp_path / "nowhere" / "run.trec", {"q1": [("d", 1.0)]}, "tag")
