"""The runner on a collection whose rankings can be told in advance."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.cli.eval import evaluate_search
from retrieval.errors import EvaluationError
from retrieval.evaluation.beir import Dataset, Document, read_dataset
from retrieval.evaluation.evaluate import Evaluation, evaluate, evaluation_folder
from retrieval.evaluation.systems import System
from retrieval.library import Library
from retrieval.types import IndexOptions, Progress
from tests.fixtures.collections import write_collection
from tests.fixtures.fakes import TestTools
from tests.fixtures.word_embedder import WordEmbedder
from tests.fixtures.word_reranker import WordReranker

LEGS: tuple[System, ...] = ("bm25", "vector", "hybrid")


def run(
    data: Dataset,
    folder: Path,
    systems: Sequence[System] = LEGS,
    embedder: WordEmbedder | None = None,
) -> Evaluation:
    with Library(folder / "index", embedder or WordEmbedder()) as library:
        return evaluate(data, library, folder / "corpus", systems)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return read_dataset(write_collection(tmp_path / "set"))


def test_every_leg_is_measured_and_compared(data: Dataset, tmp_path: Path) -> None:
    found = run(data, tmp_path / "work")
    assert [result.system for result in found.systems] == list(LEGS)
    assert (found.documents, found.chunks) == (5, 4)
    for result in found.systems:
        first = [ranking[0][0] for ranking in result.rankings.values()]
        assert first == ["git/1", "Bread", "tea"], result.system
        assert result.mean("MRR@10") == 1.0
    bm25, vector, hybrid = found.systems
    assert bm25.scores["recall@100"] == (1.0, 0.5, 1.0)  # no word of q2 is in the second loaf
    assert vector.scores["recall@100"] == (1.0, 1.0, 1.0)
    assert {c.against for c in found.comparisons} == {"bm25", "vector"}
    recall = next(c for c in found.comparisons if (c.measure, c.against) == ("recall@100", "bm25"))
    assert recall.difference == pytest.approx(1 / 6)
    assert hybrid.mean("recall@100") == 1.0
    assert recall.p == 1.0  # One query of three: either sign is as large.


def test_a_document_ranks_once_where_its_best_chunk_does(tmp_path: Path) -> None:
    many = "\n\n".join(f"Cobalt bridge number {n} " + "and more words " * 15 for n in range(150))
    others = {f"d{n}": Document("", f"cobalt {n}" + " other words" * 40) for n in range(60)}
    rest = {f"r{n}": Document("", f"nothing of the kind {n}") for n in range(400)}
    data = Dataset(
        {"many": Document("", many), **others, **rest},
        {"q": "cobalt bridge"},
        {"q": {"many": 1, "d7": 1}},
        (),
    )
    found = run(data, tmp_path, ("bm25",))
    (ranking,) = found.systems[0].rankings.values()
    documents = [document for document, _ in ranking]
    assert documents[0] == "many"
    # More chunks of one document than a leg is deep do not crowd the others out.
    assert sorted(documents) == sorted(["many", *others])
    assert found.systems[0].mean("recall@100") == 1.0
    scores = [score for _, score in ranking]
    assert scores == sorted(scores, reverse=True)


def test_a_kept_index_is_not_embedded_again_and_follows_the_corpus(
    data: Dataset, tmp_path: Path
) -> None:
    run(data, tmp_path / "work")
    again = WordEmbedder()
    run(data, tmp_path / "work", embedder=again)
    assert again.embedded == []
    fewer = Dataset(
        {k: v for k, v in data.documents.items() if k != "tea"}, data.queries, data.judgments, ()
    )
    found = run(fewer, tmp_path / "work", embedder=again)
    assert found.chunks == 3
    assert found.systems[0].scores["nDCG@10"][2] == 0.0


def test_an_index_that_was_moved_is_used_on(data: Dataset, tmp_path: Path) -> None:
    run(data, tmp_path / "work")
    moved = (tmp_path / "work").rename(tmp_path / "moved")
    found = run(data, moved)
    assert (found.chunks, found.notices) == (4, data.notices)
    with Library(moved / "index", WordEmbedder()) as library:
        assert library.status().folders == (str(moved / "corpus"),)


def test_keywords_alone_embed_nothing(data: Dataset, tmp_path: Path) -> None:
    embedder = WordEmbedder()
    found = run(data, tmp_path / "work", ("bm25",), embedder)
    assert not embedder.loaded
    assert found.comparisons == ()


def test_a_leg_that_cannot_answer_is_not_measured_as_another(tmp_path: Path) -> None:
    data = Dataset({"a": Document("", "")}, {"q": "words"}, {"q": {"a": 1}}, ())
    with pytest.raises(EvaluationError, match="by vector could not be measured"):
        run(data, tmp_path, ("vector",))


FOXES = Dataset(
    {
        "many": Document("", "red red red fox fox fox hound wood"),
        "few": Document("", "red fox bird"),
        "none": Document("", "blue bird"),
        **{f"other{n}": Document("", f"bird number {n}") for n in range(8)},
    },
    {"q": "fox red"},
    {"q": {"few": 1}},
    (),
)


def test_the_reranker_is_measured_beside_the_fusion(tmp_path: Path) -> None:
    reranker = WordReranker()
    with Library(tmp_path / "index", WordEmbedder(), reranker=reranker) as library:
        found = evaluate(FOXES, library, tmp_path / "corpus", ("hybrid", "reranked"))
    assert reranker.scored
    hybrid, reranked = found.systems
    assert set(dict(hybrid.rankings["q"])) == set(dict(reranked.rankings["q"]))
    assert hybrid.rankings["q"][0][0] == "many"
    assert reranked.rankings["q"][0][0] == "few"
    assert reranked.mean("MRR@10") == 1.0
    scores = [score for _, score in reranked.rankings["q"]]
    assert scores == sorted(scores, reverse=True)  # a TREC run is read by its scores
    assert {(c.system, c.against) for c in found.comparisons} == {("reranked", "hybrid")}
    assert found.notices == ()


def test_a_reranker_that_had_no_time_is_told(tmp_path: Path) -> None:
    options = IndexOptions(rerank_seconds=1e-9)
    with Library(tmp_path / "index", WordEmbedder(), options, WordReranker()) as library:
        found = evaluate(FOXES, library, tmp_path / "corpus", ("reranked",))
    (notice,) = found.notices
    assert "The reranker had time for 1 of" in notice


def test_without_a_reranker_none_is_measured(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="by reranked could not be measured"):
        run(FOXES, tmp_path, ("reranked",))


def test_progress_is_reported(data: Dataset, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with Library(tmp_path / "index", WordEmbedder()) as library:
        evaluate(data, library, tmp_path / "corpus", ("bm25",), seen.append)
    assert seen[0].label == "writing the corpus"
    assert seen[-1] == Progress("searching: bm25", 3, 3)


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "-.md").write_text("mine")
    with (
        pytest.raises(EvaluationError, match="holds other things"),
        evaluation_folder(tmp_path),
    ):
        pass
    assert (tmp_path / "corpus" / "-.md").read_text() == "mine"


def test_a_folder_that_is_not_kept_is_deleted_and_one_that_is_can_be_used_again(
    tmp_path: Path,
) -> None:
    with evaluation_folder(None) as folder:
        (folder / "file").touch()
    assert not folder.exists()
    for _ in range(2):
        with evaluation_folder(tmp_path / "kept") as folder:
            (folder / "file").touch()
    assert (tmp_path / "kept" / "file").exists()


def test_the_command_prints_a_table_of_all_legs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_collection(tmp_path / "set")
    arguments = argparse.Namespace(
        dataset=folder,
        chunks=None,
        mine=False,
        k=None,
        legs=None,
        index=None,
        run=str(tmp_path / "x"),
        json=False,
    )
    assert evaluate_search(arguments, TestTools(tmp_path / "home")) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "5 documents in 4 chunks, 3 queries"
    assert lines[2].split() == ["nDCG@10", "recall@10", "recall@100", "MRR@10"]
    assert [line.split()[0] for line in lines[3:6]] == list(LEGS)
    assert lines[8].startswith("bm25            +")
    assert "1 of 4 queries have no relevant document" in captured.err
    assert {p.name for p in tmp_path.glob("x.*")} == {f"x.{leg}.trec" for leg in LEGS}
    arguments.json = True
    evaluate_search(arguments, TestTools(tmp_path / "home"))
    document = json.loads(capsys.readouterr().out)
    assert len(document["comparisons"]) == 8
