"""Which questions go on from the one before, told from their words alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.queries.follow_up import in_context, is_follow_up
from retrieval.tokenizing import tokenize


@pytest.mark.parametrize(
    "question",
    [
        "and on Windows?",
        "And with Vulkan?",
        "on the GPU?",
        "what about seeds?",
        "how about the other formats then?",
        "why?",
        "why 60?",
        "how does it work?",
        "can it teach a model facts?",
        "how do I delete them?",
        "what does that mean?",
        "where is that documented?",
        "but why not rebase?",
        "is there a faster one?",
        "and the other one?",
        "which is faster?",
        "how much slower exactly?",
        "an example?",
        "more details please",
        "",
    ],
)
def test_questions_that_lack_what_they_are_about(question: str) -> None:
    assert is_follow_up(question)


@pytest.mark.parametrize(
    "question",
    [
        "what is cosine similarity",
        "perplexity",
        "a note that tells the model what to do",
        "how does HNSW find neighbours and why is it fast",
        "why is the first token slow",
        "in which file are the settings",
        "for how long are conversations kept",
        "in-context learning",
        "IT security policy",
        "and how is perplexity computed",
        "is it possible to run two models",
        "what data is there on fatigue",
        "and what happens when the context is full",
        "does anything leave my computer",
        "How do I undo a commit in git?",
    ],
)
def test_questions_that_stand_alone(question: str) -> None:
    assert not is_follow_up(question)


def test_what_the_follow_up_says_weighs_twice() -> None:
    asked = in_context("and on Windows?", 'tag:x how do I undo a "git commit"')
    assert asked.context == "how do I undo a git commit"
    assert asked.keywords.count("Windows") == 2
    assert asked.keywords.count("commit") == 1
    assert asked.meaning == "how do I undo a git commit and on Windows?"


def test_a_chain_goes_back_to_the_question_that_stands_alone() -> None:
    asked = in_context("and why?", "what is BM25\nhow do I undo a commit\nand on Windows?")
    assert asked.context == "how do I undo a commit and on Windows?"


@pytest.mark.parametrize("context", ["", "\n", '"!"', "tag:x", "the of"])
def test_without_anything_to_go_on_from_a_question_stands_alone(context: str) -> None:
    asked = in_context("and on Windows?", context)
    assert (asked.keywords, asked.meaning, asked.context) == (
        "and on Windows?",
        "and on Windows?",
        "",
    )


@given(st.text(max_size=80), st.text(max_size=80))
def test_it_never_fails_and_keeps_the_question(question: str, context: str) -> None:
    asked = in_context(question, context)
    assert set(tokenize(question)) <= set(tokenize(asked.keywords))
    assert question in asked.meaning
    assert bool(asked.context) == (asked.meaning != question)
