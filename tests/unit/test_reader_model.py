"""The reader reads: its answers follow the notes in the prompt, through llama.cpp itself."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from app.prompting import SYSTEM
from tests.fixtures.measure_reader import OUTPUT, Measured
from tests.fixtures.reader_contexts import Difficulty, draw_context
from tests.fixtures.reader_data import (
    KEYS,
    NOT_IN_NOTES,
    VALUES,
    expected,
    fact_passage,
    question,
    user_text,
)
from tests.fixtures.reader_tokenizer import CHAT_TEMPLATE, ReaderTokenizer

FACTS = {"harbour": "cobalt", "mill": "falcon", "library": "walnut", "tunnel": "saffron"}


@pytest.fixture(scope="module")
def reader() -> Iterator[Measured]:
    measured = Measured(OUTPUT, context=1024)
    yield measured
    measured.model.close()


def answer(reader: Measured, facts: dict[str, str], key: str) -> str:
    passages = [fact_passage(k, v) for k, v in facts.items()]
    return reader.answer(user_text(passages, question(key)))


@pytest.mark.parametrize("n", range(1, len(FACTS) + 1))
def test_answers_with_the_value_and_the_number_of_its_note(reader: Measured, n: int) -> None:
    key, value = list(FACTS.items())[n - 1]
    assert answer(reader, FACTS, key) == expected(key, value, n)


@pytest.mark.parametrize("value", ["badger", "zinc", "lime"])
def test_another_value_in_the_note_is_another_answer(reader: Measured, value: str) -> None:
    assert answer(reader, FACTS | {"mill": value}, "mill") == expected("mill", value, 2)


@pytest.mark.parametrize("key", FACTS)
def test_without_the_note_the_value_is_not_given(reader: Measured, key: str) -> None:
    rest = {k: v for k, v in FACTS.items() if k != key}
    assert answer(reader, rest, key) == NOT_IN_NOTES


def test_most_prompts_of_unseen_pairings_are_answered_to_the_letter(reader: Measured) -> None:
    rng = random.Random(3)
    right = 0
    for _ in range(40):
        context = draw_context(rng, Difficulty((1, 8), absent=0.25), 1, test=True)
        turn = context.turns[0]
        right += reader.answer(user_text(context.passages, turn.asked)) == turn.answer
    assert right >= 38


def test_tokens_are_those_the_model_was_trained_on(reader: Measured) -> None:
    tokenizer = ReaderTokenizer()
    rng = random.Random(5)
    odd_texts = ("é", "›", "日", "🙂", "  ", "\n\n\n", "\t", "<|im_end|>", "12345", "It's")
    for _ in range(100):
        context = draw_context(rng, Difficulty((1, 8), varied=0.5, empty=0.3), 1)
        letters = list(user_text(context.passages, context.turns[0].asked))
        for odd in odd_texts:
            letters.insert(rng.randrange(len(letters)), odd)
        user = "".join(letters)
        assert reader.prompt_ids(user) == tokenizer.prompt(SYSTEM["notes"], user)
        assert tokenizer.decode(tokenizer.content(user)) == user


def test_keys_and_values_are_single_tokens(reader: Measured) -> None:
    for word in (*KEYS, *VALUES):
        assert len(reader.model.tokenize(f" {word}".encode(), add_bos=False, special=False)) == 1


def test_the_file_carries_its_chat_template(reader: Measured) -> None:
    assert reader.model.metadata["tokenizer.chat_template"] == CHAT_TEMPLATE
    assert reader.model.metadata["general.architecture"] == "llama"
