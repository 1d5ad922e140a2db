"""Measures of retrieved text against marked passages of a text, character by character.

Pure. A span is a half-open range of characters. Source: Smith and Troynikov, "Evaluating
Chunking Strategies for Retrieval", Chroma 2024, whose code counts characters as is done here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from retrieval.types import Chunk

Span = tuple[int, int]
"""First character and the one after the last, from 0."""


@dataclass(frozen=True, slots=True)
class SpanScores:
    """How well retrieved text covers what was marked: each from 0 to 1, more is better."""

    recall: float
    """Share of the marked characters that were retrieved."""
    precision: float
    """Share of the retrieved characters that are marked."""
    iou: float
    """Marked characters retrieved, over those retrieved and those marked but missed."""


def union(spans: Iterable[Span]) -> list[Span]:
    """Give the same characters as spans that neither touch nor overlap, in order."""
    joined: list[Span] = []
    for first, end in sorted(spans):
        if first >= end:
            continue
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((first, end))
    return joined


def shared(ours: Iterable[Span], theirs: Iterable[Span]) -> int:
    """Count the characters that are in both."""
    others = union(theirs)
    return sum(
        max(0, min(end, other_end) - max(first, other))
        for first, end in union(ours)
        for other, other_end in others
    )


def span_scores(
    retrieved: Sequence[Span], references: Sequence[Span], elsewhere: int = 0
) -> SpanScores:
    """Score the chunks that were retrieved for a question.

    ``retrieved`` are those of the text that the references mark, ``elsewhere`` counts the
    characters of the chunks of other texts. A chunk counts whole: what two of them share is read
    twice, and so counts twice against precision.
    """
    marked = sum(end - first for first, end in union(references))
    read = sum(end - first for first, end in retrieved) + elsewhere
    both = shared(retrieved, references)
    return SpanScores(
        recall=both / marked if marked else 0.0,
        precision=both / read if read else 0.0,
        iou=both / (read + marked - both) if both else 0.0,
    )


def precision_omega(chunks: Sequence[Span], references: Sequence[Span]) -> float:
    """Give the precision of retrieving every chunk that holds some of the references, no other.

    It bounds what any ranking of these chunks can reach at full recall.
    """
    holding = [chunk for chunk in chunks if shared([chunk], references)]
    return span_scores(holding, references).precision


def locate(text: str, chunks: Sequence[Chunk]) -> dict[str, Span]:
    """Find the chunks of one note in its text; gives the span of each by its id.

    Chunks are given in the order of the text. Those of whole lines stand where their lines do;
    parts of one long line are looked for in it, each after the one before. A chunk that is not
    there is left out.
    """
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    found: dict[str, Span] = {}
    line_before, end_before = 0, 0
    for chunk in chunks:
        if not 1 <= chunk.first_line <= chunk.last_line <= len(lines):
            continue
        first = starts[chunk.first_line - 1]
        end = starts[chunk.last_line] - 1
        after = end_before if chunk.first_line == line_before else first
        place = text.find(chunk.text, after, end)
        if place < 0:
            place = text.find(chunk.text, first, end)
        if place < 0:
            continue
        line_before, end_before = chunk.last_line, place + len(chunk.text)
        found[chunk.id] = (place, end_before)
    return found
