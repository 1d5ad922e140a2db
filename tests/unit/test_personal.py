"""The person's own questions, asked again of a real index."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.cli.eval import evaluate_search
from app.judgments import Judgments, Verdict
from app.personal import PersonalEvaluation, evaluate_personal
from retrieval.errors import EvaluationError
from retrieval.evaluation.systems import System
from retrieval.library import Library
from retrieval.types import Query, SearchResult
from tests.fixtures.fakes import TestTools
from tests.fixtures.word_embedder import WordEmbedder

SYSTEMS: tuple[System, ...] = ("bm25", "vector", "hybrid")
NOTES = {
    "git.md": "# Git\n\nUndo the last commit with git reset.\n",
    "commit.md": "# Commit\n\nWrite what a commit does and why, commit by commit.\n",
    "bread.md": "# Bread\n\nBake the loaf in a hot oven.\n",
}


@dataclass
class Desk:
    """A person with notes, an index, and sources to mark."""

    root: Path
    library: Library
    judgments: Judgments
    asked: list[Query] = field(default_factory=list)

    @property
    def notes(self) -> Path:
        return self.root / "notes"

    def search(self, query: Query) -> SearchResult:
        self.asked.append(query)
        return self.library.search(query)

    def mark(self, question: str, path: str, verdict: Verdict, context: str = "") -> None:
        """Mark the first passage of a note that the question finds."""
        found = self.library.search(Query(question, k=100)).passages
        passage = next(p for p in found if p.chunk.note_path == path)
        self.judgments.mark(question, passage, verdict, context)

    def run(
        self, systems: Sequence[System] = SYSTEMS, required: bool = False
    ) -> PersonalEvaluation:
        return evaluate_personal(self.judgments.all(), self, systems, required)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "notes").mkdir()
    for name, text in NOTES.items():
        (tmp_path / "notes" / name).write_text(text)
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(tmp_path / "notes")
        yield Desk(tmp_path, library, Judgments(tmp_path / "judgments.jsonl"))


def test_a_good_source_is_looked_for_where_it_was(desk: Desk) -> None:
    desk.mark("commit", "git.md", "good")
    desk.mark("commit", "commit.md", "bad")
    found = desk.run()
    assert (found.questions, found.passage_questions, found.skipped) == (1, 1, ())
    bm25 = found.systems[0]
    # "commit" stands three times in the other note, which is first: rank 2 has 1 / log2(3).
    assert bm25.mean("MRR@10") == 0.5
    assert bm25.mean("nDCG@10") == pytest.approx(0.63093, abs=1e-5)
    assert bm25.mean("recall@10") == 1.0
    assert bm25.mean("bad@10") == 1.0
    assert bm25.mean("passage MRR@10") == 0.5
    assert {(c.system, c.against) for c in found.comparisons} == {
        ("hybrid", "bm25"),
        ("hybrid", "vector"),
    }
    assert any("1 of your questions is little" in notice for notice in found.notices)


def test_what_was_bad_and_is_not_found_counts_as_none(desk: Desk) -> None:
    desk.mark("hot oven", "bread.md", "good")
    desk.mark("hot oven", "git.md", "bad")
    found = desk.run(("bm25",))
    assert found.systems[0].mean("MRR@10") == 1.0
    assert found.systems[0].mean("bad@10") == 0.0


def test_a_note_with_a_good_and_a_bad_passage_is_good(desk: Desk) -> None:
    sections = [f"## Part {n}\n\n" + f"Rye number {n} wants a sourdough. " * 6 for n in range(2)]
    (desk.notes / "rye.md").write_text("# Rye\n\n" + "\n\n".join(sections))
    desk.library.index(desk.notes)
    first, second = desk.library.search(Query("rye sourdough", k=2, leg="bm25")).passages
    desk.judgments.mark("rye sourdough", first, "bad")
    desk.judgments.mark("rye sourdough", second, "good")
    bm25 = desk.run(("bm25",)).systems[0]
    assert (bm25.mean("MRR@10"), bm25.mean("bad@10")) == (1.0, 0.0)
    assert bm25.mean("passage MRR@10") == 0.5


def test_a_passage_that_reads_otherwise_now_counts_by_its_note(desk: Desk) -> None:
    desk.mark("hot oven", "bread.md", "good")
    (desk.notes / "bread.md").write_text("# Bread\n\nBake it in a very hot oven.\n")
    desk.library.index(desk.notes)
    found = desk.run()
    assert (found.questions, found.passage_questions) == (1, 0)
    assert found.systems[0].mean("MRR@10") == 1.0
    assert "passage MRR@10" not in found.systems[0].scores


def test_the_question_is_asked_with_what_it_followed_and_where_it_was(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "git.md").write_text("# Git\n\nUndo undo undo.\n")
    desk.library.index(tmp_path / "other")
    desk.mark("undo", "git.md", "good", context="git")
    good = desk.judgments.all()[0].folder
    assert desk.run(("bm25",)).questions == 1
    asked = desk.asked[-1]
    assert (asked.text, asked.context, asked.folders) == ("undo", "git", (good,))


def test_what_is_gone_is_skipped_with_its_reason(desk: Desk, tmp_path: Path) -> None:
    shutil.copytree(desk.notes, tmp_path / "lost")
    desk.library.index(tmp_path / "lost")
    found = desk.library.search(Query("hot oven", folders=(str(tmp_path / "lost"),))).passages[0]
    desk.judgments.mark("forgotten?", found, "good")
    desk.mark("hot oven", "bread.md", "good")
    desk.mark("only bad", "git.md", "bad")
    desk.mark("undo", "git.md", "good")
    desk.library.forget(tmp_path / "lost")
    (desk.notes / "bread.md").unlink()
    result = desk.run()
    reasons = {item.question: item.reason for item in result.skipped}
    assert set(reasons) == {"forgotten?", "hot oven", "only bad"}
    assert "has not been indexed yet" in reasons["forgotten?"]
    assert "bread.md" in reasons["hot oven"]
    assert reasons["only bad"] == "No source is marked good."
    assert result.questions == 1


def test_an_odd_question_does_not_hide_its_note(desk: Desk) -> None:
    found = desk.library.search(Query("hot oven", k=1)).passages[0]
    for question in ('"words that are nowhere"', "path:none.md zzz", "tag:none -bread", "???"):
        desk.judgments.mark(question, found, "good")
    result = desk.run(("bm25",))
    assert result.skipped == ()
    assert result.questions == 4


def test_a_leg_that_is_not_there_is_left_out_unless_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "git.md").write_text(NOTES["git.md"])
    with Library(tmp_path / "index", WordEmbedder()) as library:
        library.index(tmp_path / "notes", embed=False)
        desk = Desk(tmp_path, library, Judgments(tmp_path / "judgments.jsonl"))
        desk.mark("undo commit", "git.md", "good")
        found = desk.run()
        assert [result.system for result in found.systems] == ["bm25"]
        assert any("by vector could not be measured" in notice for notice in found.notices)
        with pytest.raises(EvaluationError, match="by vector"):
            desk.run(("bm25", "vector"), required=True)
        with pytest.raises(EvaluationError, match="by vector"):
            desk.run(("vector",))


def test_enough_questions_need_no_warning(desk: Desk) -> None:
    for question in ("undo", "last commit", "git", "reset", "undo the commit"):
        desk.mark(question, "git.md", "good")
    found = desk.run()
    assert (found.questions, found.notices) == (5, ())


def arguments(json: bool = False) -> argparse.Namespace:
    return argparse.Namespace(
        dataset=None,
        chunks=None,
        mine=True,
        k=None,
        legs=["bm25"],
        index=None,
        run=None,
        json=json,
    )


def test_the_command_says_when_nothing_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate_search(arguments(), TestTools(tmp_path)) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "No source is marked yet" in printed.err
    assert evaluate_search(arguments(json=True), TestTools(tmp_path)) == 3
    assert json.loads(capsys.readouterr().out)["questions"] == 0


def test_the_command_reports_questions_left_out_and_broken_lines(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = TestTools(desk.root)
    desk.mark("hot oven", "bread.md", "good")
    with tools.paths.judgments.open("a") as file:
        file.write("{\n")
    assert evaluate_search(arguments(), tools) == 3  # that index has no notes at all
    printed = capsys.readouterr()
    assert printed.out.startswith("0 of your questions")
    assert "Left out: hot oven" in printed.err
    assert "cannot be read and does not count" in printed.err
    assert desk.library.status().notes == len(NOTES)
