"""Prompts: the ledger adds up, nothing is cut in silence, and turns are only appended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import QuestionTooLongError
from app.prompting import SYSTEM, build_prompt, note_block, user_message
from app.types import Ledger, PastTurn, Prompt
from tests.fixtures.words import WordCounter, passage

COUNTER = WordCounter()


def build(
    question: str = "which sealant?",
    history: tuple[PastTurn, ...] = (),
    notes: tuple[str, ...] = ("butyl tape stays soft", "silicone never comes off"),
    context: int = 400,
    reserve: int = 50,
) -> Prompt:
    passages = [passage(f"n{i}.md", text, rank=i + 1) for i, text in enumerate(notes)]
    return build_prompt(question, history, passages, COUNTER, context=context, reserve=reserve)


def total(ledger: Ledger) -> int:
    return (
        ledger.system
        + ledger.history
        + ledger.notes
        + ledger.question
        + ledger.reserve
        + ledger.free
    )


def test_a_prompt_is_system_then_the_question_under_its_notes() -> None:
    prompt = build()
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.messages[0].content == SYSTEM["notes"]
    assert prompt.messages[1].content == (
        "Notes:\n\n[1] n0.md\nbutyl tape stays soft\n\n[2] n1.md\nsilicone never comes off\n\n"
        "Question: which sealant?"
    )


def test_a_block_names_the_place_with_its_headings() -> None:
    block = note_block(3, passage("refit/hatches.md", " soft \n", headings=("Hatches", "Sealant")))
    assert block == "[3] refit/hatches.md › Hatches › Sealant\nsoft\n\n"
    assert user_message("why?", ()) == "why?"


def test_turns_are_appended_and_never_rewritten() -> None:
    first = build()
    past = PastTurn(first.messages[-1].content, "butyl tape [1].")
    second = build("and the portlights?", (past,))
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[2].content == "butyl tape [1]."
    assert second.ledger.dropped_turns == 0
    assert second.ledger.history > 0


def test_a_passage_that_does_not_fit_is_named_and_makes_way_for_a_smaller_one() -> None:
    prompt = build(notes=("word " * 300, "small one"), context=200, reserve=50)
    assert [p.chunk.note_path for p in prompt.passages] == ["n1.md"]
    assert "[1] n1.md" in prompt.messages[-1].content
    (left,) = prompt.ledger.left_out
    assert (left.path, left.n) == ("n0.md", 0)
    assert "needs 302 tokens" in left.reason


def test_oldest_turns_leave_first_and_are_counted() -> None:
    history = tuple(PastTurn(f"question {i} " * 20, "answer " * 20) for i in range(6))
    prompt = build(history=history, context=400, reserve=50)
    assert prompt.ledger.dropped_turns > 0
    kept = [m.content for m in prompt.messages[1:-1] if m.role == "user"]
    assert kept == [turn.user for turn in history[prompt.ledger.dropped_turns :]]
    assert prompt.passages, "the newest turn keeps its notes"


def test_dropping_leaves_room_so_that_the_next_turns_are_append_only() -> None:
    history = tuple(PastTurn(f"question {i} " * 8, "answer " * 8) for i in range(30))
    first = build(history=history, context=700, reserve=50)
    dropped = first.ledger.dropped_turns
    assert dropped > 0
    grown = (*history[dropped:], PastTurn(first.messages[-1].content, "fine"))
    second = build("next?", grown, context=700, reserve=50)
    assert second.ledger.dropped_turns == 0
    assert second.messages[: len(first.messages)] == first.messages


def test_a_conversation_forgets_once_and_then_only_grows_for_several_turns() -> None:
    """Turn after turn as the app asks them: each cut leaves room for turns that only append."""
    history: list[PastTurn] = []
    forgotten, cuts, before = 0, 0, None
    for number in range(40):
        passages = [passage("n.md", f"note {number} " + "word " * 30)]
        prompt = build_prompt(
            f"question {number}?",
            history[forgotten:],
            passages,
            COUNTER,
            context=1000,
            reserve=100,
            forgotten=forgotten,
        )
        if prompt.ledger.dropped_turns > forgotten:
            cuts += 1
        elif before is not None:
            assert prompt.messages[: len(before)] == before
        forgotten = prompt.ledger.dropped_turns
        history.append(PastTurn(prompt.messages[-1].content, "answer " * 20))
        before = prompt.messages
    assert forgotten > 20
    assert cuts <= 8


def test_a_question_that_cannot_fit_is_refused_with_figures_and_a_remedy() -> None:
    with pytest.raises(QuestionTooLongError, match="of the model's 100") as error:
        build("long " * 200, context=100, reserve=20)
    assert "longer context" in error.value.remedy


texts = st.lists(st.sampled_from(["tape", "hull", "rope", "x y z"]), max_size=60).map(" ".join)


@given(
    question=texts.filter(bool),
    history=st.lists(st.builds(PastTurn, texts, texts), max_size=6).map(tuple),
    notes=st.lists(texts, max_size=8).map(tuple),
    context=st.integers(60, 900),
    reserve=st.integers(1, 200),
)
def test_the_ledger_is_exact_whatever_goes_in(
    question: str,
    history: tuple[PastTurn, ...],
    notes: tuple[str, ...],
    context: int,
    reserve: int,
) -> None:
    try:
        prompt = build(question, history, notes, context, reserve)
    except QuestionTooLongError:
        return
    ledger = prompt.ledger
    assert total(ledger) == context
    assert ledger.free >= 0
    assert min(ledger.system, ledger.history, ledger.notes, ledger.question) >= 0
    assert COUNTER.count_prompt(prompt.messages) <= context - reserve
    assert len(ledger.included) + len(ledger.left_out) == len(notes)
    assert all(entry.reason for entry in ledger.left_out)
    assert [entry.n for entry in ledger.included] == list(range(1, len(prompt.passages) + 1))
    for n, entry in enumerate(prompt.passages, start=1):
        assert note_block(n, entry) in prompt.messages[-1].content
