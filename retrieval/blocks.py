"""A note's text as blocks of lines: headings, paragraphs, lists, tables, code.

Pure: text in, line numbers out. Lines are counted from 0 here and split at ``\\n`` alone, as a
``Note`` counts them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_TITLE = re.compile(r"^title\s*[:=]\s*(.+?)\s*$", re.IGNORECASE)
_FENCES = ("---", "+++")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together."""

    first: int
    """First line, from 0."""
    last: int
    """Last line, inclusive."""
    level: int = 0
    """Level of a heading, from 1; 0 for everything else."""
    heading: str = ""
    """Text of a heading, without its marks."""


def front_matter_end(lines: list[str]) -> int:
    """Count the lines of the front matter at the start of a note; 0 when there is none."""
    if not lines or lines[0].rstrip() not in _FENCES:
        return 0
    fence = lines[0].rstrip()
    closing = (fence, "...") if fence == "---" else (fence,)
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() in closing:
            return number + 1
        if line and not line[0].isspace() and not re.match(r"[\w\"'#-]", line):
            return 0
    return 0


def markdown_title(text: str) -> str | None:
    """Give the title that a Markdown text states: its front matter's, or its first heading's."""
    lines = text.split("\n")
    for line in lines[1 : front_matter_end(lines)]:
        if match := _TITLE.match(line):
            title = match.group(1).strip("'\"").strip()
            if title:
                return title
    for block in markdown_blocks(text):
        if block.level == 1 and block.heading:
            return block.heading
    return None


@lru_cache(maxsize=2)
def markdown_blocks(text: str) -> tuple[Block, ...]:
    """Split a Markdown text into its top-level blocks, front matter left out.

    Every line that is not blank and not front matter is in exactly one block.
    """
    lines = text.split("\n")
    start = front_matter_end(lines)
    body = "\n" * start + "\n".join(lines[start:])
    blocks: list[Block] = []
    next_line = start
    tokens = _parser().parse(body)
    for number, token in enumerate(tokens):
        if token.level or not token.map or token.nesting < 0:
            continue
        first, last = token.map[0], min(token.map[1], len(lines)) - 1
        blocks.extend(_paragraphs(lines, next_line, first - 1))
        if token.type == "heading_open":
            heading = " ".join(tokens[number + 1].content.split())
            blocks.append(Block(first, last, int(token.tag[1]), heading))
        else:
            blocks.append(Block(first, last))
        next_line = last + 1
    blocks.extend(_paragraphs(lines, next_line, len(lines) - 1))
    return tuple(b for b in (_trimmed(lines, b) for b in blocks) if b is not None)


def text_blocks(text: str) -> tuple[Block, ...]:
    """Split a plain text into paragraphs at its blank lines."""
    lines = text.split("\n")
    return tuple(_paragraphs(lines, 0, len(lines) - 1))


def _paragraphs(lines: list[str], first: int, last: int) -> list[Block]:
    """Group the lines of a range that are not blank."""
    blocks: list[Block] = []
    start: int | None = None
    for number in range(first, last + 1):
        if lines[number].strip():
            start = number if start is None else start
        elif start is not None:
            blocks.append(Block(start, number - 1))
            start = None
    if start is not None:
        blocks.append(Block(start, last))
    return blocks


def _trimmed(lines: list[str], block: Block) -> Block | None:
    """Leave out blank lines at both ends; nothing when all are blank."""
    first, last = block.first, block.last
    while first <= last and not lines[first].strip():
        first += 1
    while last >= first and not lines[last].strip():
        last -= 1
    return Block(first, last, block.level, block.heading) if first <= last else None


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    """Make the parser: blocks only, since what is inside a paragraph does not matter here."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
