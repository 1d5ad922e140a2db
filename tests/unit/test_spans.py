"""Span measures on texts small enough to count by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.chunking import chunk_note
from retrieval.evaluation.spans import (
    Span,
    SpanScores,
    locate,
    precision_omega,
    shared,
    span_scores,
    union,
)
from retrieval.types import Chunk, Fingerprint, Note

spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))),
    max_size=6,
)


def chunk(name: str, text: str, first: int, last: int | None = None) -> Chunk:
    return Chunk(name, "/notes", "a.md", "A", (), text, first, last or first)


def characters(of: list[Span]) -> set[int]:
    return {n for first, end in of for n in range(first, end)}


def test_a_union_joins_what_touches_and_drops_what_is_empty() -> None:
    assert union([(5, 8), (0, 2), (7, 9), (2, 4), (3, 3)]) == [(0, 4), (5, 9)]
    assert union([]) == []


@given(spans, spans)
def test_unions_and_shared_characters_are_those_of_sets(
    ours: list[Span], theirs: list[Span]
) -> None:
    joined = union(ours)
    assert characters(joined) == characters(ours)
    assert sum(end - first for first, end in joined) == len(characters(ours))
    assert shared(ours, theirs) == len(characters(ours) & characters(theirs))


@pytest.mark.parametrize(
    ("retrieved", "references", "elsewhere", "expected"),
    [
        # 20 characters read, 10 marked, 5 of them found.
        ([(0, 20)], [(15, 25)], 0, SpanScores(5 / 10, 5 / 20, 5 / 25)),
        # Two passages marked, one chunk holds one of them whole.
        ([(0, 10)], [(2, 6), (30, 34)], 0, SpanScores(4 / 8, 4 / 10, 4 / 14)),
        # Chunks of another text were read in vain.
        ([(0, 10)], [(0, 10)], 30, SpanScores(1.0, 10 / 40, 10 / 40)),
        # What two chunks share is read twice and counts as found once.
        ([(0, 10), (5, 15)], [(5, 10)], 0, SpanScores(1.0, 5 / 20, 5 / 20)),
        # References that overlap are marked once.
        ([(0, 10)], [(0, 6), (4, 10)], 0, SpanScores(1.0, 1.0, 1.0)),
        ([(0, 10)], [(10, 20)], 0, SpanScores(0.0, 0.0, 0.0)),
        ([], [(0, 10)], 0, SpanScores(0.0, 0.0, 0.0)),
        ([], [(0, 10)], 50, SpanScores(0.0, 0.0, 0.0)),
        ([(3, 7)], [(3, 7)], 0, SpanScores(1.0, 1.0, 1.0)),
    ],
)
def test_scores_are_those_counted_by_hand(
    retrieved: list[Span], references: list[Span], elsewhere: int, expected: SpanScores
) -> None:
    assert span_scores(retrieved, references, elsewhere) == expected


def test_precision_omega_reads_the_chunks_that_hold_a_reference_and_no_other() -> None:
    chunks = [(0, 10), (10, 30), (30, 40), (40, 90)]
    # (8, 12) is in the first two chunks, which have 30 characters; touching is not holding.
    assert precision_omega(chunks, [(8, 12)]) == 4 / 30
    assert precision_omega(chunks, [(30, 40)]) == 1.0
    assert precision_omega([(0, 10)], [(20, 30)]) == 0.0


def test_chunks_of_whole_lines_are_where_their_lines_are() -> None:
    text = "one\n\ntwo\nthree\none\n"
    found = locate(
        text,
        [chunk("a", "one", 1), chunk("b", "two\nthree", 3, 4), chunk("c", "one", 5)],
    )
    assert found == {"a": (0, 3), "b": (5, 14), "c": (15, 18)}


def test_parts_of_one_line_are_found_one_after_the_other() -> None:
    text = "head\nYes. No. Yes. Maybe.\nYes."
    parts = [
        chunk("a", "Yes.", 2),
        chunk("b", "No.", 2),
        chunk("c", "Yes.", 2),
        chunk("d", "Maybe.", 2),
        chunk("e", "Yes.", 3),
    ]
    found = locate(text, parts)
    assert {name: text[first:end] for name, (first, end) in found.items()} == {
        p.id: p.text for p in parts
    }
    assert [found[name][0] for name in "abcde"] == [5, 10, 14, 19, 26]


def test_a_part_that_repeats_what_went_before_is_found_all_the_same() -> None:
    found = locate("one two three", [chunk("a", "one two", 1), chunk("b", "two three", 1)])
    assert found == {"a": (0, 7), "b": (4, 13)}


def test_what_is_not_in_the_text_is_left_out() -> None:
    text = "one\ntwo"
    found = locate(text, [chunk("a", "three", 1), chunk("b", "two", 1), chunk("c", "two", 9)])
    assert found == {}


@given(
    st.text(st.sampled_from("ab .\n#-"), max_size=400),
    st.integers(4, 20),
)
def test_every_chunk_of_a_note_is_found_and_none_overlaps(text: str, room: int) -> None:
    note = Note("/notes", "a.md", "A", text, Fingerprint(0, 0, ""))
    chunks = chunk_note(note, lambda texts: [len(t) // 2 for t in texts], room)
    found = locate(text, chunks)
    assert [text[first:end] for first, end in found.values()] == [c.text for c in chunks]
    places = list(found.values())
    assert all(one[1] <= two[0] for one, two in pairwise(places))
