"""Blocks of Markdown to sentences, each with its lines; pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from app.markdown import INLINE_CODE, Block, BlockKind, blocks, fenced

_ABBREVIATION_TEXT = """
e.g i.e eg ie cf vs viz mr mrs ms dr prof st no nos fig figs eq sec ch vol pp ca approx resp
incl excl max min est dept inc ltd jr sr a.k.a aka etc al bzw z.b d.h usw
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_TEXT.split())
_MAY_END = frozenset({"etc", "al", "inc", "ltd", "jr", "sr", "no", "max", "min", "usw"})
_CITED = r"(?:[ \t]*(?:\[\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\](?![(:])))"
_END = re.compile(
    rf"(?P<stop>[.!?…]+)(?P<close>[)\]\"'”’»*_~]*)(?P<cited>{_CITED}*)(?=\s+(?P<next>\S)|$)"
    r"|(?P<wide>[。！？]+[」』”）]*)"
)
_LAST_WORD = re.compile(r"[\w.]+$")
LONG_RUN = 400
"""Characters of a paragraph without a full stop beyond which each line stands for itself."""


def split(text: str) -> list[tuple[int, int]]:
    """Split one paragraph into sentences: (start, end) of each, trimmed.

    Full stops in inline code, after abbreviations, in numbers and names do not end a sentence. A
    citation right after a full stop belongs to the sentence before it.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    code = [match.span() for match in INLINE_CODE.finditer(text)]
    for match in _END.finditer(text):
        at = match.start()
        if any(first <= at < last for first, last in code) or not _ends(text, match):
            continue
        spans.append((start, match.end()))
        start = match.end()
    spans.append((start, len(text)))
    return [span for span in (_trim(text, *span) for span in spans) if span[0] < span[1]]


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _ends(text: str, match: re.Match[str]) -> bool:
    if match["wide"] or match["next"] is None:
        return True
    if match["cited"] and match["next"].islower():
        return False
    word = _LAST_WORD.search(text, max(0, match.start() - 40), match.start())
    before = word[0].casefold() if word else ""
    if match["stop"] == "." and before in _ABBREVIATIONS:
        return before in _MAY_END and match["next"].isupper()
    if match["stop"] == "." and len(before) == 1 and before.isalpha():
        return False  # an initial
    if match["next"].islower():
        closed = text[match.start() - 1] in ")]`*\"'"
        return match["stop"] == "." and (len(before) > 2 or closed)
    return not (before.isdigit() and match.start() <= 3)  # a number that opens the paragraph


def prose(block: Block) -> list[tuple[str, int, int]]:
    """Split a heading, paragraph or item into sentences: (text, first offset, last offset).

    Wrapped lines are joined with one space. A long run of lines without any full stop (a log, a
    list without markers) gives one sentence a line.
    """
    stripped = [line.strip().rstrip("\\").rstrip() for line in block.lines]
    joined = " ".join(stripped)
    spans = split(joined)
    if len(spans) == 1 and len(joined) > LONG_RUN and len(stripped) > 1:
        return [(line, block.first + i, block.first + i) for i, line in enumerate(stripped) if line]
    starts: list[int] = []
    position = 0
    for line in stripped:
        starts.append(position)
        position += len(line) + 1
    return [
        (
            joined[start:end],
            block.first + bisect_right(starts, start) - 1,
            block.first + bisect_right(starts, end - 1) - 1,
        )
        for start, end in spans
    ]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, with the code, table or list that completes it."""

    text: str
    """One line of Markdown; empty when the block stands alone."""
    block: str
    """Code with its fences, a table, list or quotation, verbatim; empty when there is none."""
    first: int
    """Offset of the first line, from 0."""
    last: int
    """Offset of the last line, the block's included."""
    kind: BlockKind
    """Where it stands."""


BLOCK_LINES = 16
"""Lines of a block, fences included, that are still quoted along with a sentence."""

_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)|<[^<>]+>")


def sentences(text: str, *, partial: bool = False) -> list[Sentence]:
    """Split a chunk into sentences, in order.

    A short code block or table belongs to the sentence right before it, a short list or quotation
    to a sentence that ends with a colon. Sentences without a letter (pictures, tags) are left out.
    ``partial`` says that the text may begin inside a code block.
    """
    found: list[Sentence] = []
    parts = blocks(text, partial=partial)
    lines = text.split("\n")
    for index, block in enumerate(parts):
        if block.kind in ("code", "table"):
            _attach(found, block, alone=index == 0 or parts[index - 1].kind in ("code", "table"))
            continue
        for sentence, first, last in prose(block):
            if any(character.isalpha() for character in _PICTURE.sub("", sentence)):
                found.append(Sentence(sentence, "", first, last, block.kind))
        if found and found[-1].last == block.last and found[-1].text.endswith(":"):
            end = _end_of_list(parts, index + 1, lines)
            if end is not None:
                source = "\n".join(lines[parts[index + 1].first : end + 1])
                found[-1] = _joined(found[-1], source, end)
    return found


def _joined(sentence: Sentence, block: str, last: int) -> Sentence:
    return Sentence(sentence.text, block, sentence.first, last, sentence.kind)


def _attach(found: list[Sentence], block: Block, *, alone: bool) -> None:
    if len(block.lines) > BLOCK_LINES:
        return
    source = fenced(block)
    if not alone and found and not found[-1].block:
        found[-1] = _joined(found[-1], source, block.last)
    else:
        found.append(Sentence("", source, block.first, block.last, block.kind))


def _end_of_list(parts: list[Block], start: int, lines: list[str]) -> int | None:
    """Find the last line of the short list or quotation that starts with this block."""
    if start >= len(parts):
        return None
    end = start
    while end < len(parts) and parts[end].kind == "item":
        end += 1
    if end == start and lines[parts[start].first].lstrip().startswith(">"):
        end += parts[start].kind == "paragraph"
    if end == start or parts[end - 1].last - parts[start].first >= BLOCK_LINES:
        return None
    if end < len(parts) and parts[end].kind == "code":
        return None  # the list goes on after its code: half of it would be quoted
    return parts[end - 1].last
