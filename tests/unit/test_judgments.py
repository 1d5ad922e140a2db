"""What the person marked: kept, private, shared by threads and processes, never lost."""

from __future__ import annotations

import json
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import JudgmentError
from app.judgments import Judgment, Judgments, text_digest
from retrieval.types import Chunk, Passage


def passage(text: str, path: str = "git.md", folder: str = "/notes") -> Passage:
    chunk = Chunk("id", folder, path, "Git", ("Git", "Undo"), text, 3, 3)
    return Passage(chunk, 1.0, ())


UNDO = passage("git reset --soft undoes a commit")
BREAD = passage("Bake it hot", "bread.md")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "judgments.jsonl"


def test_a_mark_says_what_where_and_when(path: Path) -> None:
    judgments = Judgments(path, clock=lambda: 1_700_000_000.0)
    judgments.mark("how to undo?", UNDO, "good", context="git")
    assert judgments.all() == (
        Judgment(
            time=1_700_000_000.0,
            question="how to undo?",
            context="git",
            folder="/notes",
            note_path="git.md",
            text_digest=text_digest("git reset --soft undoes a commit"),
            headings=("Git", "Undo"),
            first_line=3,
            verdict="good",
        ),
    )
    assert Judgments(path).all() == judgments.all()


def test_the_last_verdict_holds_and_can_be_taken_back(path: Path) -> None:
    judgments = Judgments(path)
    assert judgments.verdict("q", UNDO) == "none"
    judgments.mark("q", UNDO, "good")
    judgments.mark("q", BREAD, "bad")
    judgments.mark("q", UNDO, "bad")
    assert [(j.note_path, j.verdict) for j in judgments.all()] == [
        ("git.md", "bad"),
        ("bread.md", "bad"),
    ]
    judgments.mark("q", UNDO, "none")
    assert judgments.verdict("q", UNDO) == "none"
    assert judgments.verdict("q", BREAD) == "bad"
    assert [j.note_path for j in Judgments(path).all()] == ["bread.md"]


def test_question_context_folder_note_and_text_tell_marks_apart(path: Path) -> None:
    judgments = Judgments(path)
    judgments.mark("q", UNDO, "good")
    others = [
        ("Q", UNDO, ""),
        ("q", UNDO, "before"),
        ("q", passage(UNDO.chunk.text, "other.md"), ""),
        ("q", passage(UNDO.chunk.text, folder="/work"), ""),
        ("q", passage("another text"), ""),
    ]
    assert [judgments.verdict(q, p, context) for q, p, context in others] == ["none"] * 5
    # Where the text stands now, and under which id, does not matter.
    moved = replace(UNDO, chunk=replace(UNDO.chunk, id="new", first_line=90, last_line=90))
    assert judgments.verdict("q", moved) == "good"


def test_what_is_marked_already_is_not_written_again(path: Path) -> None:
    judgments = Judgments(path)
    judgments.mark("q", UNDO, "none")
    assert not path.exists()
    judgments.mark("q", UNDO, "good")
    before = path.read_bytes()
    judgments.mark("q", UNDO, "good")
    assert path.read_bytes() == before


def test_the_file_is_private_and_takes_any_name(path: Path) -> None:
    odd = passage("te\nxt", "caf\udce9/\u2028.md")
    Judgments(path).mark("wo\nrds?", odd, "good")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(path.read_bytes().splitlines()) == 1
    assert Judgments(path).verdict("wo\nrds?", odd) == "good"


@pytest.mark.parametrize(
    "line",
    [b"{", b"\xff\xfe", b"[1]", b'{"time": 1}', b"null", b"[" * 100_000],
)
def test_a_broken_line_is_reported_and_kept_and_the_others_count(path: Path, line: bytes) -> None:
    judgments = Judgments(path)
    judgments.mark("q", UNDO, "good")
    with path.open("ab") as file:
        file.write(line + b"\n")
    judgments.mark("q", BREAD, "bad")
    assert len(judgments.all()) == 2
    assert line + b"\n" in path.read_bytes()
    (problem,) = judgments.problems
    assert problem.startswith(f"Line 2 of {path} cannot be read")
    assert "Correct or delete it" in problem


def test_an_unknown_verdict_does_not_count(path: Path) -> None:
    judgments = Judgments(path)
    judgments.mark("q", UNDO, "good")
    record = json.loads(path.read_text()) | {"verdict": "superb"}
    path.write_text(json.dumps(record) + "\n")
    assert judgments.all() == ()
    assert judgments.problems


def test_a_line_that_a_killed_writer_left_unfinished_spoils_no_other(path: Path) -> None:
    judgments = Judgments(path)
    judgments.mark("q", UNDO, "good")
    with path.open("ab") as file:
        file.write(b'{"time": 17')
    judgments.mark("q", BREAD, "good")
    again = Judgments(path)
    assert [j.note_path for j in again.all()] == ["git.md", "bread.md"]
    assert len(again.problems) == 1


def test_another_process_is_seen_and_threads_lose_nothing(path: Path) -> None:
    ours, theirs = Judgments(path), Judgments(path)
    assert theirs.verdict("q", UNDO) == "none"
    ours.mark("q", UNDO, "bad")
    assert theirs.verdict("q", UNDO) == "bad"

    def work(judgments: Judgments, name: str) -> None:
        for number in range(20):
            judgments.mark(f"{name} {number}", UNDO, "good")

    threads = [
        threading.Thread(target=work, args=(judgments, f"{number}"))
        for number, judgments in enumerate((ours, ours, theirs, theirs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ours.all()) == len(theirs.all()) == 81
    assert ours.problems == ()


def test_what_cannot_be_read_or_written_has_a_remedy(path: Path) -> None:
    path.mkdir(parents=True)
    judgments = Judgments(path)
    for act in (judgments.all, lambda: judgments.mark("q", UNDO, "good")):
        with pytest.raises(JudgmentError) as error:
            act()
        assert str(path) in error.value.remedy
