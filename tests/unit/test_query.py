"""Queries taken apart: phrases, operators, and words that only look like them."""

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.queries.query import OPERATORS, ParsedQuery, as_words, parse_query
from retrieval.types import Filters

NOW = datetime.datetime(2026, 3, 31, 12, 30).timestamp()


def parse(text: str) -> ParsedQuery:
    return parse_query(text, NOW)


def moment(*parts: int) -> float:
    return datetime.datetime(*parts).timestamp()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "phrases", "words"),
    [
        ('what does "Connection  refused" mean?', ("Connection refused",), "what does Connection"
         " refused mean?"),
        ("“curly ones” count", ("curly ones",), "curly ones count"),
        ("„unten“ «french» »danish«", ("unten", "french", "danish"), "unten french danish"),
        ('("in brackets"), "twice" "twice"', ("in brackets", "twice"),
         "( in brackets ), twice twice"),
    ],
)  # fmt: skip
def test_phrases_must_match_and_stay_words(text: str, phrases: tuple[str, ...], words: str) -> None:
    parsed = parse(text)
    assert parsed.phrases == phrases
    assert parsed.text == words
    assert parsed.filters == Filters()


@pytest.mark.parametrize(
    "text",
    [
        'a 5" pipe and a 3" valve',
        'a lone " quote',
        'note:"foo bar"',
        'what does print("hello world") say',
        'run(["git", x])',
        'say "a"b',
        '""',
        '" "',
        '"!?"',
        "git log -p --stat -n 3",
        "a well-known non-tag",
        "http://host:8000/path",
        "what is in: and path: for",
        "tag:",
        "tag:#",
    ],
)
def test_what_only_looks_like_syntax_is_words(text: str) -> None:
    parsed = parse(text)
    assert parsed.text == " ".join(text.split())
    assert (parsed.phrases, parsed.without, parsed.places) == ((), (), ())
    assert parsed.filters == Filters()


def test_operators_become_conditions_and_leave_the_words() -> None:
    parsed = parse(
        'undo path:git/** -path:git/old/* tag:#Project/Alcove, -tag:draft format:PDF in:"my notes"'
        ' after:2025-01-31 before:2026 path:"with space/*" commit'
    )
    assert parsed.text == "undo commit"
    assert parsed.filters == Filters(
        paths=("git/**", "!git/old/*", "with space/*"),
        tags=("project/alcove", "!draft"),
        formats=("pdf",),
        after=moment(2025, 1, 31),
        before=moment(2026, 1, 1),
    )
    assert parsed.places == ("my notes",)
    assert parsed.notices == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("format:pdff", "markdown"),
        ("after:lunch", "2025-01-31"),
        ("before:2025-13-01", "2025-01-31"),
        ("-format:pdf", "excluded"),
    ],
)
def test_an_operator_without_sense_is_a_word_and_that_is_said(text: str, says: str) -> None:
    parsed = parse(f"tea {text} water")
    assert parsed.text == f"tea {text} water"
    assert parsed.filters == Filters()
    (notice,) = parsed.notices
    assert text in notice
    assert says in notice


def test_an_excluded_phrase_is_no_word() -> None:
    parsed = parse('undo -"old way" commit -“hard reset”')
    assert parsed.text == "undo commit"
    assert parsed.without == ("old way", "hard reset")
    assert parsed.phrases == ()


@given(st.text(alphabet=st.sampled_from('ab" -:“”«»/#*\npathtgin'), max_size=60) | st.text())
def test_parsing_never_fails(text: str) -> None:
    parsed = parse(text)
    assert isinstance(parsed.text, str)
    assert parse(text) == parsed


@given(
    st.lists(
        st.one_of(
            st.from_regex(r"[a-z0-9_.'-]{1,9}", fullmatch=True),
            st.sampled_from(["5\"", "-p", "--all", "C++", "x:y", '"', "–", "http://a/b"]),
        ),
        min_size=1,
        max_size=12,
    ),
    st.lists(
        st.sampled_from(["tag:x", "path:a/**", "format:pdf", "after:7d", '"b c"', '-"d e"']),
        max_size=3,
    ),
)  # fmt: skip
def test_no_ordinary_word_is_lost(words: list[str], operators: list[str]) -> None:
    # Quotation marks of two words would make a phrase of what is between them.
    if sum(word.count('"') for word in words) > 1:
        words = [word.replace('"', "q") for word in words]
    if any('"' in word for word in words):
        operators = [part for part in operators if '"' not in part]
    kept = parse(" ".join([*operators, *words, *operators])).text.split()
    assert [word for word in kept if word not in {"b", "c"}] == [
        word for word in words if word not in {"b", "c"}
    ]


def test_a_stop_inside_the_quotation_marks_is_not_part_of_the_phrase() -> None:
    assert parse('called "artificial cells." Why?').phrases == ("artificial cells",)
    assert parse('".gitignore"').phrases == (".gitignore",)


@given(st.text(alphabet=st.sampled_from('ab" -:“”«»/#path tag:')) | st.text())
def test_a_question_made_words_has_no_syntax(text: str) -> None:
    parsed = parse(as_words(text))
    assert (parsed.phrases, parsed.without, parsed.places) == ((), (), ())
    assert parsed.filters == Filters()
    assert parsed.text == " ".join(as_words(text).split())


def test_every_operator_is_read() -> None:
    values = {"after": "7d", "before": "1y", "format": "csv"}
    for name in OPERATORS:
        assert parse(f"a {name}:{values.get(name, 'x')} b").text == "a b"
    assert not re.search(r"\W", "".join(OPERATORS))
