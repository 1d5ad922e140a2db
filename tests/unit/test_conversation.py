import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.conversation import TITLE_LENGTH, UNTITLED, Conversation, ConversationStore, title_of
from app.errors import ConversationError
from app.types import Answer, Citation, Ledger, LedgerNote, PastTurn, Timings, Turn
from models.types import ChatMessage
from retrieval.types import Chunk, Contribution, Passage


def turn(question: str = "Why?", text: str = "Because [1].", at: float = 5.0) -> Turn:
    return Turn(question, Answer(text, "quotes", (), (), Ledger(), Timings()), at)


def asked_of_a_model(question: str, text: str) -> Turn:
    sent = (ChatMessage("system", "Rules."), ChatMessage("user", f"Notes: N. {question}"))
    answer = Answer(text, "notes", (), (), Ledger(), Timings(), sent=sent, model="m")
    return Turn(question, answer, 6.0)


@pytest.fixture
def store(tmp_path: Path) -> ConversationStore:
    return ConversationStore(tmp_path / "private" / "chats.sqlite")


def saved(store: ConversationStore, *turns: Turn, folder: str = "/notes") -> Conversation:
    conversation = Conversation.new(folder)
    for one in turns:
        conversation.append(one)
    store.save(conversation)
    return conversation


def test_history_repeats_what_was_sent_and_plain_text_where_nothing_was() -> None:
    conversation = Conversation.new("/notes")
    for one in (turn("A?", "Quoted."), asked_of_a_model("B?", "Said."), turn("C?", " ")):
        conversation.append(one)
    assert conversation.history() == (
        PastTurn("A?", "Quoted.", "A?"),
        PastTurn("Notes: N. B?", "Said.", "B?"),
    )


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("  How do\nI  quit? ", "How do I quit?"),
        ("", UNTITLED),
        ("word " * 30, "word " * 11 + "word…"),
        ("x" * 99, "x" * (TITLE_LENGTH - 1) + "…"),
    ],
)
def test_the_title_is_the_first_question_cut_at_a_word(question: str, title: str) -> None:
    assert title_of(question) == title
    assert len(title) <= TITLE_LENGTH


def test_a_conversation_is_untitled_until_asked_and_keeps_a_given_title() -> None:
    conversation = Conversation.new("/notes")
    assert (conversation.title, conversation.updated) == (UNTITLED, conversation.created)
    conversation.append(turn("First?"))
    conversation.append(turn("Second?", at=9.0))
    assert (conversation.title, conversation.updated) == ("First?", 9.0)
    conversation.rename(" Mine ")
    assert conversation.title == "Mine"


_text = st.text(max_size=20) | st.just("\udc80 of a file name")
_float = st.floats(allow_nan=False)
_count = st.integers(0, 2**70)
_citations = st.builds(
    Citation, _count, _text, _count, _count, st.sampled_from(["quote", "missing"])
)
_chunks = st.builds(
    Chunk, _text, _text, _text, _text, st.tuples(_text), _text, st.just(1), st.just(2)
)
_contributions = st.builds(
    Contribution, st.sampled_from(["bm25", "vector"]), _count, _float, _float, _float
)
_passages = st.builds(Passage, _chunks, _float, st.tuples(_contributions))
_notes = st.builds(LedgerNote, _count, _text, _count, _count, _count, _text)
_ledgers = st.builds(Ledger, _count, free=_count, included=st.tuples(_notes), left_out=st.just(()))
_turns = st.builds(
    Turn,
    _text,
    st.builds(
        Answer,
        _text,
        st.sampled_from(["quotes", "notes", "notes+model", "model"]),
        st.tuples(_passages),
        st.tuples(_citations, _citations),
        _ledgers,
        st.builds(Timings, _float, _float, _float, _float, _count, _count, _count),
        st.sampled_from(["stop", "length", "cancelled"]),
        st.tuples(_text),
        st.tuples(st.builds(ChatMessage, st.sampled_from(["user", "system"]), _text)),
        _text,
    ),
    _float,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_turns, max_size=3), _text)
def test_what_is_saved_is_loaded_field_by_field(
    store: ConversationStore, turns: list[Turn], folder: str
) -> None:
    conversation = saved(store, *turns, folder=folder)
    loaded = store.load(conversation.id)
    assert loaded.turns == conversation.turns
    assert (loaded.folder, loaded.created) == (folder, conversation.created)
    assert (loaded.title, loaded.updated) == (conversation.title, conversation.updated)
    (entry,) = [one for one in store.list(folder) if one.id == conversation.id]
    assert (entry.title, entry.turns, entry.folder) == (conversation.title, len(turns), folder)


def test_a_turn_is_saved_as_it_finishes(store: ConversationStore) -> None:
    conversation = saved(store, turn("One?"))
    conversation.append(turn("Two?", at=8.0))
    store.save(conversation)
    store.save(conversation)
    assert [one.question for one in store.load(conversation.id).turns] == ["One?", "Two?"]


def test_the_list_is_newest_first_and_can_be_of_one_folder(store: ConversationStore) -> None:
    assert store.list() == ()
    saved(store, turn("Old?", at=1.0), folder="/a")
    saved(store, turn("New?", at=3.0), folder="/b")
    saved(store, turn("Mid?", at=2.0), folder="/a")
    assert [one.title for one in store.list()] == ["New?", "Mid?", "Old?"]
    assert [one.title for one in store.list("/a")] == ["Mid?", "Old?"]


def test_a_new_title_outlives_the_next_save(store: ConversationStore) -> None:
    conversation = saved(store, turn())
    store.rename(conversation.id, "Better")
    conversation.append(turn())
    store.save(conversation)
    assert store.list()[0].title == store.load(conversation.id).title == "Better"
    with pytest.raises(ConversationError):
        store.rename(conversation.id, " \n")


def test_what_is_deleted_is_gone_from_the_file(store: ConversationStore) -> None:
    conversation = saved(store, turn("secret-word-in-a-question?"))
    kept = saved(store, turn("Kept?"))
    store.delete(conversation.id)
    assert [one.id for one in store.list()] == [kept.id]
    assert b"secret-word" not in store.path.read_bytes()


def test_an_unknown_conversation_is_an_error_with_a_remedy(store: ConversationStore) -> None:
    for call in (store.load, store.delete, lambda id: store.rename(id, "T")):
        with pytest.raises(ConversationError) as caught:
            call("nothing")
        assert caught.value.remedy


def test_only_the_owner_can_read_the_file(store: ConversationStore) -> None:
    saved(store, turn())
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_damaged_file_is_an_error_with_a_remedy_and_is_left_as_it_is(
    store: ConversationStore,
) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(b"not a database at all " * 200)
    before = store.path.read_bytes()
    for call in (store.list, lambda: saved(store, turn())):
        with pytest.raises(ConversationError, match="damaged"):
            call()
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("content", ["{}", "[1]", "no JSON", '{"question": 1}'])
def test_a_damaged_turn_is_an_error_and_the_others_can_be_read(
    store: ConversationStore, content: str
) -> None:
    broken, whole = saved(store, turn("A?")), saved(store, turn("B?"))
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE turns SET turn = ? WHERE conversation = ?", (content, broken.id))
    connection.commit()
    connection.close()
    with pytest.raises(ConversationError, match="damaged"):
        store.load(broken.id)
    assert store.load(whole.id).turns[0].question == "B?"
    assert len(store.list()) == 2


def test_a_file_of_a_newer_alcove_is_left_alone(store: ConversationStore) -> None:
    saved(store, turn())
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConversationError, match="newer Alcove"):
        store.list()


def test_a_place_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConversationError, match="file"):
        saved(ConversationStore(tmp_path / "file" / "chats.sqlite"), turn())


def test_a_failed_save_leaves_nothing_half(store: ConversationStore) -> None:
    conversation = saved(store, turn("One?"))
    conversation.append(turn("Two?"))
    conversation.append(Turn("Three?", object(), 1.0))  # type: ignore[arg-type]
    with pytest.raises(ConversationError):
        store.save(conversation)
    assert [one.question for one in store.load(conversation.id).turns] == ["One?"]


def test_many_threads_save_at_once(store: ConversationStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: saved(store, turn(f"Q{i}?", at=float(i))), range(16)))
    assert {one.id for one in store.list()} == {one.id for one in made}
