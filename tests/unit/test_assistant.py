"""The assistant and the workspace on injected parts: events in order, answers checked and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.assistant import NOTHING_FOUND, NOTHING_YET, Assistant
from app.conversation import ConversationStore
from app.errors import ServiceDied
from app.types import (
    Answer,
    AnswerEvent,
    AskOptions,
    Finished,
    PastTurn,
    Retrieved,
    Searching,
)
from app.workspace import Workspace
from models.types import Delta, LoadOptions, LocalModel, Prefilling
from retrieval.types import Filters
from tests.fixtures.fakes import QuotingEngine, TestTools, WordIndex, fixed_clock

NOTES = (
    ("hatches.md", "Butyl tape stays soft on the hatches."),
    ("tests.md", "The polyurethane sealant leaked at the hinge."),
)


def loaded() -> QuotingEngine:
    engine = QuotingEngine()
    engine.load(LoadOptions(Path("/models/tiny.gguf")))
    return engine


def finished(events: list[AnswerEvent]) -> Answer:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.answer


def test_with_a_model_events_come_in_order_and_the_answer_is_checked() -> None:
    events = list(Assistant(WordIndex(NOTES), loaded()).ask("the hatches", AskOptions()))
    kinds = [type(event) for event in events]
    assert kinds[:4] == [Searching, Retrieved, Prefilling, Prefilling]
    assert set(kinds[4:-1]) == {Delta}
    answer = finished(events)
    assert answer.text == "Butyl tape stays soft on the hatches. [1]"
    assert [(c.n, c.path, c.status) for c in answer.citations] == [(1, "hatches.md", "quote")]
    assert answer.mode == "notes"
    assert [message.role for message in answer.sent] == ["user", "assistant"]
    assert answer.ledger.context == 4096


def test_without_a_model_the_answer_is_quotes_whatever_was_asked_for() -> None:
    answer = finished(list(Assistant(WordIndex(NOTES)).ask("sealant", AskOptions(mode="model"))))
    assert answer.mode == "quotes"
    assert "leaked at the hinge. [1]" in answer.text
    assert answer.citations[0].status == "quote"


def test_a_question_is_searched_with_its_conditions_and_those_before_it() -> None:
    index = WordIndex(NOTES)
    past = tuple(PastTurn(f"Notes: {n}", "Said.", f"question\n{n}") for n in range(5))
    options = AskOptions(
        history=past,
        folders=("boat",),
        base="/home",
        filters=Filters(tags=("x",)),
        rerank=True,
    )
    list(Assistant(index).ask("and the hatches?", options))
    (query,) = index.queries
    assert query.context == "question 2\nquestion 3\nquestion 4"
    assert (query.folders, query.base) == (("boat",), "/home")
    assert query.filters == Filters(tags=("x",))
    assert query.rerank


def test_quotes_answer_a_follow_up_with_the_words_it_goes_on_from() -> None:
    index = WordIndex([*NOTES, ("other.md", "It was dear. They sell rope, and stays.")])
    past = (PastTurn("q", "a", "what leaked at the hinge"),)
    answer = finished(list(Assistant(index).ask("the sealant?", AskOptions(history=past))))
    assert answer.citations[0].path == "tests.md"
    pronoun = AskOptions(history=(PastTurn("q", "a", "what is the sealant"),))
    answer = finished(list(Assistant(index).ask("and where did it leak at?", pronoun)))
    assert "The polyurethane sealant leaked at the hinge. [" in answer.text


def test_operators_are_no_words_of_the_answer() -> None:
    question = 'tag:rope "butyl tape" path:stays/**'
    answer = finished(list(Assistant(WordIndex(NOTES)).ask(question, AskOptions())))
    assert "Butyl tape stays soft on the hatches. [" in answer.text


def test_nothing_found_is_said_without_asking_the_model() -> None:
    events = list(Assistant(WordIndex(NOTES), loaded()).ask("zebra", AskOptions()))
    assert not any(isinstance(event, Prefilling) for event in events)
    assert finished(events).text == NOTHING_FOUND


def test_nothing_found_in_an_incomplete_index_is_not_called_nothing() -> None:
    index = WordIndex(NOTES)
    index.stale = True
    assert finished(list(Assistant(index).ask("zebra", AskOptions()))).text == NOTHING_YET


def test_model_only_searches_nothing_and_both_goes_on_without_passages() -> None:
    index = WordIndex(NOTES)
    events = list(Assistant(index, loaded()).ask("zebra", AskOptions(mode="model")))
    assert not any(isinstance(event, (Searching, Retrieved)) for event in events)
    assert finished(events).mode == "model"
    both = finished(list(Assistant(index, loaded()).ask("zebra", AskOptions(mode="notes+model"))))
    assert both.text == "The notes do not say."


def test_cancel_ends_with_what_was_written() -> None:
    assistant = Assistant(WordIndex(NOTES), loaded())
    events = []
    for event in assistant.ask("the hatches", AskOptions()):
        events.append(event)
        if isinstance(event, Delta):
            assistant.cancel()
    answer = finished(events)
    assert answer.text == "Butyl"
    assert answer.reason == "cancelled"


def test_cancel_during_the_search_writes_nothing() -> None:
    assistant = Assistant(WordIndex(NOTES), loaded())
    events = []
    for event in assistant.ask("the hatches", AskOptions()):
        events.append(event)
        if isinstance(event, Retrieved):
            assistant.cancel()
    assert finished(events).text == ""
    assert not any(isinstance(event, Delta) for event in events)


def workspace(tmp_path: Path, engine: QuotingEngine) -> Workspace:
    store = ConversationStore(tmp_path / "chats.sqlite")
    tools = TestTools(tmp_path)
    return Workspace(tmp_path, tools, WordIndex(NOTES), engine, store, fixed_clock())


def test_a_second_turn_repeats_the_first_to_the_letter(tmp_path: Path) -> None:
    engine = QuotingEngine()
    work = workspace(tmp_path, engine)
    work.load_model(LocalModel("tiny", Path("/models/tiny.gguf"), "Q4_0", 1, "llama"))
    first = finished(list(work.ask("the hatches")))
    list(work.ask("and the sealant?"))
    prompt = engine.prompts[-1]
    assert prompt[:2] == engine.prompts[0]
    assert prompt[2] == first.sent[1]
    assert prompt[3].content.endswith("Question: and the sealant?")


def test_what_did_not_fit_is_forgotten_until_another_model_is_loaded(tmp_path: Path) -> None:
    engine = QuotingEngine()
    work = workspace(tmp_path, engine)
    model = LocalModel("tiny", Path("/models/tiny.gguf"), "Q4_0", 1, "llama")
    work.load_model(model)
    long = "the hatches " * 600
    for _ in range(4):
        answer = finished(list(work.ask(long)))
    assert answer.ledger.dropped_turns > 0
    assert work.conversation.forgotten == answer.ledger.dropped_turns
    assert len(work.conversation.turns) == 4
    work.load_model(model)
    assert work.conversation.forgotten == 0


def test_turns_are_saved_before_they_are_told_and_survive_a_death(tmp_path: Path) -> None:
    engine = QuotingEngine()
    work = workspace(tmp_path, engine)
    work.load_model(LocalModel("tiny", Path("/models/tiny.gguf"), "Q4_0", 1, "llama"))
    for event in work.ask("the hatches"):
        if isinstance(event, Finished):
            (saved,) = ConversationStore(tmp_path / "chats.sqlite").list()
            assert saved.turns == 1
    engine.die_after = 1
    with pytest.raises(ServiceDied):
        list(work.ask("the hatches"))
    broken = work.conversation.turns[1].answer
    assert broken.text == "Butyl "
    assert "The engine was killed (SIGKILL)." in broken.notices
    engine.die_after = None
    assert finished(list(work.ask("the hatches"))).text.endswith("[1]")
    (saved,) = ConversationStore(tmp_path / "chats.sqlite").list()
    assert saved.turns == 3


def test_an_answer_that_cannot_be_saved_is_shown_and_says_so(tmp_path: Path) -> None:
    store = ConversationStore(tmp_path / "a-file" / "chats.sqlite")
    (tmp_path / "a-file").write_text("in the way")
    tools = TestTools(tmp_path)
    work = Workspace(tmp_path, tools, WordIndex(NOTES), QuotingEngine(), store)
    answer = finished(list(work.ask("the hatches")))
    assert "Butyl tape" in answer.text
    assert any("could not be saved" in notice for notice in answer.notices)


def test_the_last_folder_and_model_are_remembered(tmp_path: Path) -> None:
    from app.state import load_state

    work = workspace(tmp_path, QuotingEngine())
    work.update_index()
    work.load_model(LocalModel("tiny", Path("/models/tiny.gguf"), "Q4_0", 1, "llama"))
    work.skip_proposal()
    state = load_state(tmp_path / "state.json")
    assert (state.folder, state.model, state.skipped_proposal) == (str(tmp_path), "tiny", True)
    work.unload_model()
    assert work.model is None
    assert work.effective_mode == "quotes"
