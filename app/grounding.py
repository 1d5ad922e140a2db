"""An answer against the passages it cites: what the check of each citation finds.

Pure. A citation is checked per statement, because an answer that is right in one sentence can be
wrong in the next. The check compares words and does not understand them: it catches wrong
numbers, wrong notes, invented names and invented text, not a "not" too many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from app.markdown import Block, BlockKind, blocks, outside_code
from app.sentences import prose
from app.text import NO_WORDS, Words, find_lines, plain, stem, with_number_names, words
from app.types import Citation, CitationStatus
from retrieval.types import Passage

SUPPORT = 2 / 3
"""Share of a statement's content words that a few lines of its passage must have.

Paraphrases keep most nouns and verbs and change the rest. Measured on 277 sentences of 2,400
how-to notes, each held against the most similar chunk of another note: 35 % of these wrong
citations pass with 0.6 of the words anywhere in the chunk, 15 % with two thirds within 8 lines.
Numbers and identifiers are not averaged: one that is not there makes a statement unsupported.
"""

PART = 0.3
"""Share that each of several passages cited together must have, where only all of them together
reach ``SUPPORT``."""

QUOTE_WORDS = 3
"""Words from which a text found verbatim counts as a quotation and not as a coincidence."""

WINDOW = 8
"""Lines that may bear out one statement."""

LINE_COST = 0.5
"""Matched words that one more line must bring to be shown."""

_LIST = r"\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*"
_CITATION = re.compile(rf"(?<![\\^!])\[({_LIST})\](?!\]?\()")
_META_TEXT = "note notes source sources passage document text according mention state say says see"
_META = frozenset(stem(word) for word in _META_TEXT.split())
_QUOTATION = re.compile(r"[“„«]([^“”„«»]+)[”“»]|(?<!\w)\"([^\"]+)\"(?!\w)")
_ENUMERATION = re.compile(r"^\W*(?:step|option|method|way|part)\s+\d+\b", re.I)


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence, list item or table row of an answer, with what it cites."""

    text: str
    """Markdown, citations taken out."""
    code: str
    """Code that follows it, without fences; empty when there is none."""
    numbers: tuple[int, ...]
    """Numbers it cites, in order."""
    kind: BlockKind
    """Where it stands."""


def check(answer: str, passages: Sequence[Passage]) -> tuple[Citation, ...]:
    """Check each citation ``[n]`` of an answer against passage n, statement by statement.

    Returns one citation for each number and place, in order of number, then of lines: ``quote``
    and ``supported`` with the lines that bear the statement out, ``unsupported`` with the whole
    passage's, ``missing`` without lines. ``normalise_citations`` comes first for a model's text.
    """
    found: set[Citation] = set()
    for statement in statements(answer):
        found.update(_check_statement(statement, passages))
    return tuple(sorted(found, key=lambda one: (one.n, one.first_line, one.last_line, one.status)))


def uncited(answer: str) -> tuple[str, ...]:
    """List the statements that cite nothing; headings, questions and lead-ins state nothing."""
    return tuple(
        statement.text
        for statement in statements(answer)
        if not statement.numbers
        and statement.kind != "heading"
        and not statement.text.endswith("?")
        and not (statement.text.endswith(":") and not statement.code)
        and not _abstains(statement.text)
        and len(words(statement.text + statement.code))
    )


_NOTES = r"\b(?:notes?|passages?|documents?|context|sources?)\b"
_VERBS = (
    "say mention contain hold include provide specify cover address answer state describe give "
    "discuss have(?!_to) explain indicate tell show list talk refer"
).translate({ord(" "): "|", ord("_"): " "})
_OBJECT = "(?:information|mention|answer|details?)"
_PASSIVE = "mentioned found covered specified stated given included provided described answered"
_ABSTENTION = re.compile(
    rf"{_NOTES}(?: (?!says?|states?|mentions?)\w+){{0,3}} (?:do|does|did)(?:n't| not)"
    rf" (?:\w+ ){{0,2}}(?:{_VERBS})\b"
    rf"|{_NOTES} (?:contain|hold|make|give|provide|include)s? (?:no|nothing)\b"
    rf"|{_NOTES} (?:have|has) (?:no {_OBJECT}|nothing)\b"
    rf"|\b(?:nothing|no {_OBJECT})\b[^.]{{0,60}}\bin\b[^.]{{0,20}}{_NOTES}"
    rf"|(?:\b(?:not|cannot|unable to)|n't)(?: be)? (?:{_PASSIVE.replace(' ', '|')}|find|answer)\b"
    rf"[^.]{{0,60}}{_NOTES}"
)


def abstained(answer: str) -> bool:
    """Tell whether an answer says that the notes do not hold it, and cites nothing else."""
    every = statements(answer)
    return any(_abstains(one.text) for one in every) and not any(
        one.numbers and not _abstains(one.text) for one in every
    )


def _abstains(text: str) -> bool:
    return _ABSTENTION.search(plain(text)) is not None


def cited_numbers(text: str) -> tuple[int, ...]:
    """List the numbers that a text cites, in order, each once; code does not cite."""
    numbers: list[int] = []

    def collect(part: str) -> str:
        for match in _CITATION.finditer(part):
            numbers.extend(_expand(match[1]))
        return part

    outside_code(text, collect)
    return tuple(dict.fromkeys(number for number in numbers if number))


def _expand(listed: str) -> Iterator[int]:
    """Read ``1, 3-5`` as 1, 3, 4, 5."""
    for part in re.split(r"\s*[,;]\s*", listed):
        ends = [int(number) for number in re.findall(r"\d+", part)]
        if len(ends) == 2 and ends[0] < ends[1] <= ends[0] + 20:
            yield from range(ends[0], ends[1] + 1)
        else:
            yield from ends


_NAME = r"(?:notes?|sources?|passages?|documents?|refs?\.?)"
_NUMBERS = rf"\d{{1,3}}(?:\s*(?:,|;|&|-|–|\band\b)\s*(?:{_NAME}\s*)?#?\d{{1,3}})*"
_NAMED = re.compile(
    rf"([\[【［(])(?:see\s+)?{_NAME}\s*#?({_NUMBERS})[\]】］)](?!\()", re.IGNORECASE
)
_WIDE = re.compile(rf"[【［]\s*#?({_LIST})\s*(?:†[^】］]*)?[】］]")
_DOUBLED = re.compile(rf"\[\[({_LIST})\]\](?!\()")
_PARENTHESES = re.compile(r"(?<=\S[ \t])\((\d{1,3})\)(?=[.;]|[ \t]*$)", re.MULTILINE)


def normalise_citations(answer: str, count: int) -> str:
    """Rewrite citations as ``[n]`` where they come as ``[Note 3]``, ``【3】``, ``[[3]]``.

    ``(3)`` is rewritten only where an answer has no other citation and ``count``, the number of
    passages, reaches it; it may be an enumeration or a year's month otherwise. Without passages
    the answer stays as it is.
    """
    if count < 1:
        return answer

    def named(match: re.Match[str]) -> str:
        listed = re.sub(r"[^\d,;–-]+", "", re.sub(r"&|\band\b", ",", match[2], flags=re.I))
        numbers = list(dict.fromkeys(_expand(listed)))
        if match[1] == "(" and max(numbers) > count:
            return match[0]
        return f"[{', '.join(map(str, numbers))}]"

    def brackets(part: str) -> str:
        part = _NAMED.sub(named, part)
        return _DOUBLED.sub(r"[\1]", _WIDE.sub(r"[\1]", part))

    def parentheses(part: str) -> str:
        return _PARENTHESES.sub(
            lambda match: f"[{match[1]}]" if 1 <= int(match[1]) <= count else match[0], part
        )

    rewritten = outside_code(answer, brackets)
    return rewritten if cited_numbers(rewritten) else outside_code(rewritten, parentheses)


def statements(answer: str) -> list[Statement]:
    """Split an answer into what it states, each with its citations.

    A citation that stands alone ("Sources: [1]", or after a code block) belongs to the statement
    before it; the items of a list share the citations of the line that introduces it.
    """
    found: list[Statement] = []
    inherited: tuple[int, ...] = ()
    for block in blocks(answer):
        if block.kind == "code":
            if found:
                code = "\n".join(line for line in block.lines if not line.strip().startswith("```"))
                found[-1] = replace(found[-1], code=f"{found[-1].code}\n{code}".strip("\n"))
            continue
        for text in _texts(block):
            numbers = cited_numbers(text)
            bare = _without_citations(text)
            if found and numbers and not _states(bare):
                merged = tuple(dict.fromkeys(found[-1].numbers + numbers))
                found[-1] = replace(found[-1], numbers=merged)
            elif any(character.isalnum() for character in bare):
                inherits = block.kind == "item" and not numbers
                found.append(Statement(bare, "", inherited if inherits else numbers, block.kind))
        if block.kind != "item":
            inherited = found[-1].numbers if found and found[-1].text.endswith(":") else ()
    return found


def _texts(block: Block) -> list[str]:
    if block.kind == "table":
        return [line.strip() for line in block.lines[2:]]
    return [text for text, _, _ in prose(block)]


def _without_citations(text: str) -> str:
    bare = outside_code(text, lambda part: _CITATION.sub("", part))
    return re.sub(r"\s+([.,;:!?])", r"\1", " ".join(bare.split())).strip()


def _states(text: str) -> bool:
    found = words(text)
    return bool(found.stems - _META or found.numbers or found.identifiers)


def _check_statement(statement: Statement, passages: Sequence[Passage]) -> Iterator[Citation]:
    cited: dict[int, Passage] = {}
    for n in statement.numbers:
        if n <= len(passages):
            cited[n] = passages[n - 1]
        else:
            yield Citation(n, "", 0, 0, "missing")
    wanted = words(_ENUMERATION.sub("", f"{statement.text}\n{statement.code}"))
    wanted = replace(wanted, stems=wanted.stems - _META)
    borne = {n: _best_lines(wanted, passage) for n, passage in cited.items()}
    together = NO_WORDS
    for held, _, _ in borne.values():
        together |= held
    jointly = len(borne) > 1 and _supports(wanted, together)
    for n, passage in cited.items():
        chunk = passage.chunk
        held, first, last = borne[n]
        lines = _quoted_lines(statement, chunk.text.split("\n"))
        status: CitationStatus = "supported"
        if lines is not None:
            status, (first, last) = "quote", lines
        elif not (_supports(wanted, held) or (jointly and len(held) >= PART * len(wanted))):
            status, first, last = "unsupported", 0, chunk.last_line - chunk.first_line
        yield Citation(
            n,
            chunk.note_path,
            chunk.first_line + first,
            chunk.first_line + last,
            status,
            chunk.place,
        )


def _supports(wanted: Words, held: Words) -> bool:
    return (
        len(wanted) > 0
        and wanted.numbers == held.numbers
        and wanted.identifiers == held.identifiers
        and len(held) >= SUPPORT * len(wanted)
    )


def _quoted_lines(statement: Statement, lines: Sequence[str]) -> tuple[int, int] | None:
    """Find the lines of what a statement quotes: its quotations, its code, or all of it."""
    quotations = [
        quotation
        for match in _QUOTATION.finditer(statement.text)
        if len((quotation := match[1] or match[2]).split()) >= QUOTE_WORDS
    ]
    if not quotations and len(statement.text.split()) >= QUOTE_WORDS:
        quotations = [statement.text]
    if statement.code:
        introduced = statement.text.endswith(":") and quotations == [statement.text]
        quotations = [statement.code] if introduced else [*quotations, statement.code]
    places = [find_lines(quotation, lines) for quotation in quotations]
    found = [place for place in places if place is not None]
    if not found or len(found) < len(places):
        return None
    return min(first for first, _ in found), max(last for _, last in found)


def _best_lines(wanted: Words, passage: Passage) -> tuple[Words, int, int]:
    """Find the window of lines with the most wanted words for its length.

    Returns those words and the offsets of the window; all lines when none has a wanted word. The
    words of path and headings count everywhere: a model reads them with the passage.
    """
    chunk = passage.chunk
    everywhere = wanted & words("\n".join((chunk.note_path, chunk.title, *chunk.headings)))
    by_line = [wanted & with_number_names(words(line)) for line in chunk.text.split("\n")]
    best, place = 0.0, (everywhere, 0, len(by_line) - 1)
    for first, matched in enumerate(by_line):
        if not len(matched):
            continue
        union = NO_WORDS
        for last in range(first, min(first + WINDOW, len(by_line))):
            union |= by_line[last]
            value = len(union) + len(union.numbers) + len(union.identifiers)
            gain = value - LINE_COST * (last - first)
            if gain > best:
                best, place = gain, (union | everywhere, first, last)
    return place
