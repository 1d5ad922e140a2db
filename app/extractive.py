"""Passages to an answer in the notes' own words, for when there is no model.

Pure. Sentences are taken as they stand, the best ones for the question, and each is cited.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.markdown import outside_code
from app.sentences import Sentence, sentences
from app.text import overlap, terms
from app.types import Citation
from retrieval.types import Passage

NO_MATCH = (
    "No sentence of the notes has the words of the question. The nearest passages begin like this."
)
"""First line of an answer that does not match the question."""

BLOCK_SHARE = 0.5
"""What a word in the code of a sentence counts, against one in the sentence itself."""

HEADING_WEIGHT = 0.5
"""What the words of the title and the headings count: they say what a sentence is about."""

RANK_WEIGHT = 0.8
"""What the best passage's place counts: retrieval saw more than the words."""

BLOCK_BONUS = 0.5
"""What a short block at a sentence of the best passage counts: there lies the answer of most
how-to notes, under words as bare as "like this"."""

SHORT_BLOCK = 9
"""Lines of a block, fences included, beyond which it is an example rather than an answer."""

OPENING_BONUS = 0.1
"""What being the first sentence of its passage counts."""

KEEP = 0.6
"""Share of the best sentence's score below which a sentence is left out."""

DUPLICATE = 0.8
"""Share of the smaller sentence's words from which two sentences say the same."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that could be quoted."""

    n: int
    """Number of its passage, from 1."""
    passage: Passage
    """The passage."""
    sentence: Sentence
    """The sentence."""
    order: int
    """Its place among the sentences of the passage."""
    words: frozenset[str]
    """Stems of the sentence."""
    block_words: frozenset[str]
    """Stems of the code, table or list that completes it."""
    opening: bool
    """Whether it is the first sentence of its passage that is no fragment."""

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line in the file, from 1."""
        first = self.passage.chunk.first_line
        return first + self.sentence.first, first + self.sentence.last

    @property
    def note(self) -> tuple[str, str]:
        """Folder and path of the note."""
        return self.passage.chunk.folder, self.passage.chunk.note_path


def quoted_answer(
    question: str, passages: Sequence[Passage], limit: int = 5
) -> tuple[str, tuple[Citation, ...]]:
    """Answer with at most ``limit`` sentences of the passages, best note first.

    Returns Markdown in which every sentence is followed by ``[n]``, n being the number of its
    passage from 1, and one citation for each, in order of number, then of lines. Without
    passages both are empty.
    """
    found = candidates(passages)
    if not found or limit < 1:
        return "", ()
    wanted = weights(question, found)
    scores = [score(candidate, wanted, passages) for candidate in found]
    if any(_shares(candidate, wanted) for candidate in found):
        chosen = choose(found, scores, limit)
        lines = []
    else:
        chosen = _openings(found, limit)
        lines = [NO_MATCH]
    for note in _notes_by_score(chosen):
        lines.append(_write_note(note))
    return "\n\n".join(lines), _citations([candidate for candidate, _ in chosen])


def candidates(passages: Sequence[Passage]) -> list[Candidate]:
    """List what could be quoted, in the passages' order: headings only with what follows them."""
    found: list[Candidate] = []
    for n, passage in enumerate(passages, start=1):
        usable = [
            sentence
            for sentence in sentences(passage.chunk.text, partial=passage.chunk.first_line > 1)
            if sentence.kind != "heading" or sentence.block
        ]
        opened = False
        for order, sentence in enumerate(usable):
            opening = not opened and (bool(sentence.block) or len(sentence.text.split()) >= 4)
            opened = opened or opening
            found.append(
                Candidate(
                    n,
                    passage,
                    sentence,
                    order,
                    terms(sentence.text),
                    terms(sentence.block),
                    opening,
                )
            )
    return found


def weights(question: str, found: Sequence[Candidate]) -> dict[str, float]:
    """Weigh the question's words by how few sentences have them; the weights sum to 1."""
    wanted = terms(question)
    frequency = Counter(
        word for candidate in found for word in wanted & (candidate.words | candidate.block_words)
    )
    count = len(found)
    raw = {
        word: math.log1p((count - frequency[word] + 0.5) / (frequency[word] + 0.5))
        for word in wanted
    }
    total = sum(raw.values())
    return {word: value / total for word, value in raw.items()} if total else {}


def score(candidate: Candidate, wanted: Mapping[str, float], passages: Sequence[Passage]) -> float:
    """Score a sentence: its words, its headings, its passage's place, its position and form."""
    chunk = candidate.passage.chunk
    about = terms(" ".join((chunk.title, *chunk.headings)))
    value = _share(wanted, candidate.words)
    value += BLOCK_SHARE * _share(wanted, candidate.block_words - candidate.words)
    value += HEADING_WEIGHT * _share(wanted, about)
    place = _place(candidate, passages)
    value += RANK_WEIGHT * place
    if 0 < candidate.sentence.block.count("\n") < SHORT_BLOCK:
        value += BLOCK_BONUS * place
    if candidate.opening:
        value += OPENING_BONUS
    return value * _fitness(candidate)


def _place(candidate: Candidate, passages: Sequence[Passage]) -> float:
    """Rate the passage's place: 1 for the first; the fused score tells how far it is behind."""
    best = max(passage.score for passage in passages)
    relative = candidate.passage.score / best if best > 0 else 1.0
    return max(relative, 0.0) / math.sqrt(candidate.n)


def _share(wanted: Mapping[str, float], words: frozenset[str]) -> float:
    return sum(weight for word, weight in wanted.items() if word in words)


def _shares(candidate: Candidate, wanted: Mapping[str, float]) -> bool:
    chunk = candidate.passage.chunk
    about = terms(" ".join((chunk.title, *chunk.headings)))
    return not wanted.keys().isdisjoint(candidate.words | candidate.block_words | about)


def _fitness(candidate: Candidate) -> float:
    """Rate the form: fragments, questions, loose blocks and very long sentences answer little."""
    sentence = candidate.sentence
    length = len(sentence.text.split())
    if not sentence.text:
        return 0.6
    if not sentence.block and (length < 4 or sentence.text.endswith("?")):
        return 0.6
    if not sentence.block and sentence.text.endswith(":"):
        return 0.7
    return 0.8 if length > 60 else 1.0


def choose(
    found: Sequence[Candidate], scores: Sequence[float], limit: int
) -> list[tuple[Candidate, float]]:
    """Choose the best sentences, none of them twice, none far behind the best.

    A sentence that refers to the one before it ("This is ...") brings that one along.
    """
    ranked = sorted(range(len(found)), key=lambda index: -scores[index])
    least = KEEP * scores[ranked[0]]
    chosen: list[tuple[Candidate, float]] = []
    for index in ranked:
        if len(chosen) >= limit or scores[index] < least:
            break
        wanted = [found[index]]
        if index and _refers_back(found[index - 1], found[index]):
            wanted.append(found[index - 1])
        for candidate in wanted:
            if len(chosen) < limit and not any(_same(candidate, other) for other, _ in chosen):
                chosen.append((candidate, scores[index]))
    return chosen


_REFERRING = re.compile(
    r"(?:this|that|it|these|those|they|instead|otherwise|then)\b", re.IGNORECASE
)


def _refers_back(before: Candidate, candidate: Candidate) -> bool:
    return (
        before.n == candidate.n
        and not before.sentence.block
        and candidate.lines[0] - before.lines[1] <= 1
        and _REFERRING.match(candidate.sentence.text) is not None
    )


def _same(left: Candidate, right: Candidate) -> bool:
    if left.note == right.note:
        first, last = left.lines
        other_first, other_last = right.lines
        inside = first >= other_first and last <= other_last
        outside = other_first >= first and other_last <= last
        if (inside and right.sentence.block) or (outside and left.sentence.block):
            return True
    everything = left.words | left.block_words
    return overlap(everything, right.words | right.block_words) >= DUPLICATE and (
        len(everything) > 2 or left.sentence.text == right.sentence.text
    )


def _openings(found: Sequence[Candidate], limit: int) -> list[tuple[Candidate, float]]:
    chosen: list[tuple[Candidate, float]] = []
    for candidate in found:
        if (
            candidate.opening
            and len(chosen) < limit
            and not any(_same(candidate, other) for other, _ in chosen)
        ):
            chosen.append((candidate, 1 / candidate.n))
    return chosen


def _notes_by_score(chosen: Sequence[tuple[Candidate, float]]) -> list[list[Candidate]]:
    """Group by note, the note with the best sentence first, in reading order within each."""
    best: dict[tuple[str, str], float] = {}
    groups: dict[tuple[str, str], list[Candidate]] = {}
    for candidate, value in chosen:
        best[candidate.note] = max(value, best.get(candidate.note, -math.inf))
        groups.setdefault(candidate.note, []).append(candidate)
    return [
        sorted(groups[note], key=lambda one: (one.lines[0], one.n, one.order))
        for note in sorted(groups, key=lambda note: -best[note])
    ]


def _write_note(group: Sequence[Candidate]) -> str:
    """Write a note's title and its sentences: neighbours share a paragraph."""
    parts = [f"**{_escape(group[0].passage.chunk.title)}**"]
    previous: Candidate | None = None
    for candidate in group:
        text = " ".join(filter(None, (_quotable(candidate.sentence.text), f"[{candidate.n}]")))
        follows = previous is not None and candidate.lines[0] - previous.lines[1] <= 1
        if follows and previous and not previous.sentence.block and candidate.sentence.text:
            parts[-1] = f"{parts[-1]} {text}"
        elif candidate.sentence.text:
            parts.append(text)
        if candidate.sentence.block:
            parts.append(candidate.sentence.block)
        if not candidate.sentence.text:
            parts.append(text)
        previous = candidate
    return "\n\n".join(parts)


_REFERENCE_LINK = re.compile(r"\[([^\[\]]+)\]\[[^\[\]]*\]")
_NUMBERED = re.compile(r"(?<!\\)\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\](?!\()")
_MARKS = re.compile(r"([*\[\]])")


def _quotable(text: str) -> str:
    """Keep a sentence's own bracketed numbers and links by reference from reading as citations."""
    return outside_code(
        text, lambda part: _NUMBERED.sub(r"\\[\1\\]", _REFERENCE_LINK.sub(r"\1", part))
    )


def _escape(title: str) -> str:
    return outside_code(title, lambda part: _MARKS.sub(r"\\\1", part))


def _citations(chosen: Sequence[Candidate]) -> tuple[Citation, ...]:
    chunks = [(candidate, candidate.passage.chunk) for candidate in chosen]
    made = {
        Citation(candidate.n, chunk.note_path, *candidate.lines, "quote", chunk.place)
        for candidate, chunk in chunks
    }
    return tuple(sorted(made, key=lambda made: (made.n, made.first_line, made.last_line)))
