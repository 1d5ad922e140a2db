"""The span measure on texts whose chunks can be counted by hand."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from app.cli.eval import evaluate_search
from app.settings import SearchSettings, Settings
from retrieval.errors import EvaluationError
from retrieval.evaluation.evaluate_chunks import ChunkEvaluation, evaluate_chunks, read_span_dataset
from retrieval.evaluation.systems import System
from retrieval.library import Library
from tests.fixtures.collections import TEXTS, write_span_set
from tests.fixtures.fakes import TestTools
from tests.fixtures.word_embedder import WordEmbedder
from tests.fixtures.word_reranker import WordReranker

SYSTEMS: tuple[System, ...] = ("bm25", "vector", "hybrid")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_span_set(tmp_path / "set")


def chunk_arguments(folder: Path, json: bool = True) -> argparse.Namespace:
    return argparse.Namespace(
        dataset=None,
        chunks=folder,
        mine=False,
        k=None,
        legs=None,
        index=None,
        run=None,
        json=json,
    )


def run(folder: Path, k: int, max_tokens: int = 60) -> ChunkEvaluation:
    with Library(folder.parent / "index", WordEmbedder(max_tokens=max_tokens)) as library:
        return evaluate_chunks(read_span_dataset(folder), library, SYSTEMS, k)


def test_one_chunk_a_text_scores_as_counted_by_hand(folder: Path) -> None:
    found = run(folder, 1)
    bread, tea = (len(TEXTS[name].strip("\n")) for name in ("bread", "tea"))
    assert (found.texts, found.chunks, found.characters) == (2, 2, (bread + tea) / 2)
    salt, green = len("flour with salt"), len("Green tea") + len("below boiling")
    assert found.precision_omega == pytest.approx((salt / bread + green / tea) / 2)
    for result in found.systems:
        assert result.scores["recall@1"] == (1.0, 1.0), result.system
        assert result.scores["precision@1"] == pytest.approx((salt / bread, green / tea))
        assert result.scores["IoU@1"] == result.scores["precision@1"]
    assert {(c.system, c.against) for c in found.comparisons} == {
        ("hybrid", "bm25"),
        ("hybrid", "vector"),
    }


def test_chunks_of_other_texts_count_against_precision(folder: Path) -> None:
    vector = run(folder, 5).systems[1]
    both = sum(len(text.strip("\n")) for text in TEXTS.values())
    assert vector.scores["recall@5"] == (1.0, 1.0)
    assert vector.scores["precision@5"] == pytest.approx(
        (len("flour with salt") / both, (len("Green tea") + len("below boiling")) / both)
    )


def test_long_lines_are_measured_part_by_part(folder: Path) -> None:
    path = folder / "corpora" / "bread.md"
    parts = [f"Number {n} is about rye number {n}. Yes." for n in range(40)]
    path.write_text(TEXTS["bread"] + "\n" + " ".join(parts) + "\n")
    text = path.read_text()
    start = text.index("Number 33")
    question = {
        "_id": "long",
        "text": "number 33 rye",
        "corpus_id": "bread",
        "references": [[start, start + len(parts[33])]],
    }
    (folder / "questions.jsonl").write_text(json.dumps(question))
    found = run(folder, 1, max_tokens=24)
    assert found.chunks > 10
    assert found.systems[0].scores["recall@1"] == (1.0,)
    assert 0 < found.systems[0].scores["precision@1"][0] < 1


def test_texts_without_questions_are_searched_and_told(folder: Path) -> None:
    (folder / "corpora" / "more.md").write_text("# More\n\nFlour, flour and flour.\n")
    found = run(folder, 1)
    assert found.notices == ("1 chunk is of texts that no question is about.",)
    assert found.systems[0].scores["recall@1"] == (0.0, 1.0)
    assert found.systems[0].scores["precision@1"][0] == 0.0


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"_id": "a", "text": "t", "corpus_id": "none", "references": [[0, 1]]}, "no file"),
        ({"_id": "a", "text": "t", "corpus_id": "../x", "references": [[0, 1]]}, "'../x'"),
        ({"_id": "a", "text": "t", "corpus_id": "tea", "references": []}, "no references"),
        ({"_id": "a", "text": "t", "corpus_id": "tea"}, "no references"),
        ({"_id": "a", "text": "t", "corpus_id": "tea", "references": [[4, 4]]}, "[4, 4]"),
        ({"_id": "a", "text": "t", "corpus_id": "tea", "references": [[0, 999]]}, "[0, 999]"),
        ({"_id": "a", "text": "t", "corpus_id": "tea", "references": [[True, 2]]}, "[True, 2]"),
        ({"_id": "a", "corpus_id": "tea", "references": [[0, 1]]}, "it has no text"),
        ({"_id": "a", "text": "t", "references": [[0, 1]]}, "it has no corpus_id"),
        ({"text": "t"}, "it has no _id"),
    ],
)
def test_odd_questions_are_refused_by_line(
    folder: Path, record: dict[str, object], said: str
) -> None:
    (folder / "questions.jsonl").write_text("\n" + json.dumps(record))
    with pytest.raises(EvaluationError) as error:
        read_span_dataset(folder)
    assert "questions.jsonl, line 2" in error.value.title
    assert said in error.value.title
    assert "questions.jsonl" in error.value.remedy


def test_what_is_no_such_folder_is_refused(folder: Path) -> None:
    with pytest.raises(EvaluationError, match="There is no folder"):
        read_span_dataset(folder / "none")
    (folder / "corpora" / "tea.md").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(EvaluationError, match=r"tea\.md is not UTF-8 text"):
        read_span_dataset(folder)
    (folder / "questions.jsonl").write_text("\n")
    with pytest.raises(EvaluationError, match="has no questions"):
        read_span_dataset(folder)


def test_a_text_that_is_not_indexed_is_refused(folder: Path) -> None:
    (folder / "corpora" / "tea.md").write_text("\n" * 60)
    with pytest.raises(EvaluationError, match=r"tea\.md"):
        run(folder, 1)


def test_the_command_prints_a_table_and_json(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = chunk_arguments(folder, json=False)
    tools = TestTools(folder.parent / "home")
    assert evaluate_search(arguments, tools) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 texts in 2 chunks of")
    assert lines[3].split() == ["recall@5", "precision@5", "IoU@5"]
    assert [line.split()[0] for line in lines[4:7]] == list(SYSTEMS)
    arguments.json, arguments.k, arguments.legs = True, 1, ["bm25"]
    evaluate_search(arguments, tools)
    document = json.loads(capsys.readouterr().out)
    assert (document["k"], document["questions"], document["chunks"]) == (1, 2, 2)
    assert document["legs"]["bm25"]["recall@1"] == 1.0
    assert document["comparisons"] == []


class RerankingTools(TestTools):
    """The tools of somebody who chose a reranker."""

    __test__ = False

    def library(self, directory: Path) -> Library:
        return Library(directory, WordEmbedder(), reranker=WordReranker())


def test_a_reranker_that_is_chosen_is_measured_without_being_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(search=SearchSettings(reranker="some/reranker"))
    assert evaluate_search(chunk_arguments(folder), RerankingTools(folder, settings)) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["legs"]) == [*SYSTEMS, "reranked"]
    assert ("reranked", "hybrid") in {(c["leg"], c["against"]) for c in document["comparisons"]}


def test_a_reranker_that_is_not_chosen_cannot_be_asked_for(folder: Path) -> None:
    arguments = chunk_arguments(folder)
    arguments.legs = ["reranked"]
    with pytest.raises(EvaluationError, match="no reranker to measure") as error:
        evaluate_search(arguments, TestTools(folder))
    assert "settings.toml" in error.value.remedy
