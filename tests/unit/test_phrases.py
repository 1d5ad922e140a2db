"""Exact phrases, whatever the case, accents, spacing and marks around their words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.queries.phrases import folded, longest_word, says


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Run git reset --soft.", "git RESET --soft"),
        ("Un café\n  crème, please", "cafe creme"),
        ("cafe creme", "Café crème"),
        ("keep **the** changes in `git log`", "keep the changes in git log"),
        ("keep **the** changes", "keep **the** changes"),
        ("> quoted over\n> two lines", "over two lines"),
        ("see [the manual](http://x/y) first", "the manual first"),
        ("see [[note|this note]] first", "this note first"),
        ("don’t stop", "don't stop"),
        ("a _very_ good one", "very good"),
        ("snake_case_name = 1", "snake_case_name"),
        ("我爱北京天安门", "北京"),
        ("用git的人", "git"),
        ("C++ and C#", "C++"),
        ("see [the manual][1] first", "the manual first"),
        ("call some\\_function now", "some_function now"),
        ("one line\\\nand another", "line and another"),
        ("a ==marked== word, **un**known", "marked word, unknown"),
        ("soft\u00adhyphen", "softhyphen"),
    ],
)
def test_a_phrase_is_found(text: str, phrase: str) -> None:
    assert says([text], phrase)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("start here", "art"),
        ("foo_bar", "foo"),
        ("commits", "commit"),
        ("reset the git", "git reset"),
        ("one. two", "one two"),
        ("", "a"),
    ],
)
def test_a_phrase_is_not_found(text: str, phrase: str) -> None:
    assert not says([text], phrase)


def test_it_may_stand_in_any_of_the_texts() -> None:
    assert says(["text", "A Title", "Heading"], "a title")
    assert not says(["one", "two"], "one two")


@given(st.text(min_size=1), st.text(), st.text())
def test_every_text_says_what_was_taken_from_it(phrase: str, before: str, after: str) -> None:
    if folded(phrase):
        assert says([f"{before} \n {phrase} \n {after}"], phrase)


def test_the_word_to_look_for_is_plain() -> None:
    assert longest_word("to be or not") == "not"
    assert longest_word("Café society") == "society"
    assert longest_word("日本") == "日本"
