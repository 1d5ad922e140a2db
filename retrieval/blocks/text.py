"""A note's text as blocks of lines: headings, paragraphs, lists, tables, code.

Pure: text in, line numbers out. Lines are counted from 0 here and split at ``\\n`` alone, as a
``Note`` counts them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_TITLE = re.compile(r"^title\s*[:=]\s*(.+?)\s*$", re.IGNORECASE)
_KEYS = {
    "---": re.compile(r"[\w\"'][^:#]{0,60}:(\s|$)"),
    "+++": re.compile(r"([\w\"'][\w\"'. -]{0,60}=|\[)"),
}
"""What a key looks like in the front matter that a fence opens: YAML, TOML."""
_CODE = frozenset({"fence", "code_block", "html_block"})
_VALUE = re.compile(r"\s|#|- |-$|[\]})]")  # Indented, a comment, an item, the end of a collection.


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
    front_matter: bool = False
    """Whether it is the note's front matter."""
    code: bool = False
    """Whether it is a block of code or of HTML in a Markdown text."""
    whole: bool = False
    """Whether it is a definition, with its name as its heading: it heads nothing but itself."""


def front_matter_end(lines: list[str]) -> int:
    """Count the lines of the front matter at the start of a note, its fences included.

    0 when there is none: a rule at the top of a note opens front matter only when a key follows
    it at once, and nothing but keys and their values stands before the closing fence.
    """
    fence = lines[0].rstrip() if lines else ""
    if fence not in _KEYS or len(lines) < 3 or not lines[1].strip():
        return 0
    closing = (fence, "...") if fence == "---" else (fence,)
    has_key = False
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() in closing:
            return number + 1 if has_key else 0
        if _KEYS[fence].match(line):
            has_key = True
        elif line.strip() and not _VALUE.match(line):
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
    """Split a Markdown text into its top-level blocks; front matter is one of them.

    Every line that is not blank is in exactly one block.
    """
    lines = text.split("\n")
    start = front_matter_end(lines)
    body = "\n" * start + "\n".join(lines[start:])
    blocks = [Block(0, start - 1, front_matter=True)] if start else []
    next_line = start
    tokens = _parser().parse(body)
    for number, token in enumerate(tokens):
        if token.level or not token.map or token.nesting < 0:
            continue
        first, last = token.map[0], min(token.map[1], len(lines)) - 1
        blocks.extend(paragraphs(lines, next_line, first - 1))
        if token.type == "heading_open":
            heading = " ".join(tokens[number + 1].content.split())
            blocks.append(Block(first, last, int(token.tag[1]), heading))
        else:
            blocks.append(Block(first, last, code=token.type in _CODE))
        next_line = last + 1
    blocks.extend(paragraphs(lines, next_line, len(lines) - 1))
    return tuple(b for b in (_trimmed(lines, b) for b in blocks) if b is not None)


def text_blocks(text: str) -> tuple[Block, ...]:
    """Split a plain text into paragraphs at its blank lines."""
    lines = text.split("\n")
    return tuple(paragraphs(lines, 0, len(lines) - 1))


def paragraphs(lines: list[str], first: int, last: int) -> list[Block]:
    """Group the lines of a range, ends included, that are not blank."""
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
    return replace(block, first=first, last=last) if first <= last else None


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    """Make the parser: blocks only, since what is inside a paragraph does not matter here."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
