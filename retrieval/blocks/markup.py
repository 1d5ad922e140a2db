"""reStructuredText and Org as blocks of lines: sections, paragraphs, what hangs below them. Pure.

Both are cut as they are written, so that every block is lines of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from retrieval.blocks.text import Block

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*\s*$")
_ORG_HEADING = re.compile(r"(\*+)\s+(.+)")
_ORG_STATE = re.compile(r"(?:TODO|DONE|NEXT|WAITING|HOLD|CANCELL?ED|STARTED|SOMEDAY)\s+")
_ORG_PRIORITY = re.compile(r"\[#\w\]\s+")
_ORG_TAGS = re.compile(r"\s+:([\w@#%:]+):\s*$")
_LONGEST_TAGS = 500  # Looking for them in more would take long where there are none.
_ORG_BEGIN = re.compile(r"\s*#\+begin_(\w+)", re.IGNORECASE)


@lru_cache(maxsize=2)
def rst_blocks(text: str) -> tuple[Block, ...]:
    """Split a reStructuredText into section titles and what is between them.

    Titles are told by their adornment, levels by the order in which adornments come, as docutils
    does. Indented lines belong to what stands above them: the text of a directive, a literal.
    """
    lines = text.split("\n")
    blocks: list[Block] = []
    levels: list[tuple[str, bool]] = []
    number = start = 0
    while number < len(lines):
        length, mark, heading = _rst_title(lines, number)
        if not length:
            number += 1
            continue
        blocks.extend(_hanging(lines, start, number - 1))
        if mark not in levels:
            levels.append(mark)
        level = levels.index(mark) + 1
        blocks.append(Block(number, number + length - 1, level, heading))
        number = start = number + length
    blocks.extend(_hanging(lines, start, len(lines) - 1))
    return tuple(blocks)


@lru_cache(maxsize=2)
def org_blocks(text: str) -> tuple[Block, ...]:
    """Split an Org text into its headings and what is between them; blocks and drawers whole."""
    lines = text.split("\n")
    blocks: list[Block] = []
    start: int | None = None
    until: re.Pattern[str] | None = None
    open_until: dict[str, int] = {}
    for number, line in enumerate(lines):
        if until is not None:
            if until.match(line) and start is not None:
                blocks.append(Block(start, number))
                start = until = None
            continue
        heading = _ORG_HEADING.match(line)
        begin = _org_end(lines, number, open_until)
        if start is not None and (heading or begin or not line.strip()):
            blocks.append(Block(start, number - 1))
            start = None
        if heading:
            blocks.append(Block(number, number, len(heading.group(1)), org_heading(line)))
        elif begin or (start is None and line.strip()):
            start, until = number, begin
    if start is not None:
        blocks.append(Block(start, max(n for n, line in enumerate(lines) if line.strip())))
    return tuple(blocks)


def org_heading(line: str) -> str:
    """Give the text of an Org heading without stars, state, priority and tags."""
    text = line.lstrip("*").strip()
    tags = _ORG_TAGS.search(text, max(len(text) - _LONGEST_TAGS, 0))
    text = text[: tags.start()] if tags else text
    return _ORG_PRIORITY.sub("", _ORG_STATE.sub("", text, count=1), count=1).strip()


def org_tags(line: str) -> list[str]:
    """Give the tags at the end of an Org heading."""
    match = _ORG_TAGS.search(line, max(len(line) - _LONGEST_TAGS, 0))
    return [tag for tag in match.group(1).split(":") if tag] if match else []


def _org_end(lines: list[str], number: int, open_until: dict[str, int]) -> re.Pattern[str] | None:
    """Give what ends the block or drawer that begins with a line; nothing when none does.

    ``open_until`` keeps, by what would end a block, the line up to which nothing does.
    """
    match = _ORG_BEGIN.match(lines[number])
    if match:
        ending = rf"\s*#\+end_{re.escape(match.group(1))}\s*$"
    elif lines[number].strip().upper() in {":PROPERTIES:", ":LOGBOOK:"}:
        ending = r"\s*:END:\s*$"
    else:
        return None
    if number < open_until.get(ending, 0):
        return None
    end = re.compile(ending, re.IGNORECASE)
    for following in range(number + 1, len(lines)):
        if end.match(lines[following]):
            return end
        if _ORG_HEADING.match(lines[following]):
            open_until[ending] = following
            return None
    open_until[ending] = len(lines)
    return None


def _rst_title(lines: list[str], number: int) -> tuple[int, tuple[str, bool], str]:
    """Give the lines of a section title that begins with a line, its adornment and its text."""
    none = (0, ("", False), "")
    before = lines[number - 1] if number else ""
    if before.strip():
        return none
    line = lines[number].rstrip()
    mark = _adornment(line)
    if mark and number + 2 < len(lines):
        title, under = lines[number + 1].strip(), lines[number + 2].rstrip()
        if title and _adornment(under) == mark and len(under) == len(line) >= len(title):
            return 3, (mark, True), title
    if not line or line[0].isspace() or number + 1 >= len(lines):
        return none
    under = lines[number + 1].rstrip()
    mark = _adornment(under)
    if not mark or _adornment(line) == mark:
        return none
    # docutils takes a short underline for a title too, from four characters on.
    if len(under) < min(len(line), 4):
        return none
    return 2, (mark, False), line.strip()


def _adornment(line: str) -> str:
    """Give the character that an adornment repeats; empty when the line is none."""
    return line[0] if len(line) >= 2 and _ADORNMENT.match(line) else ""


def _hanging(lines: list[str], first: int, last: int) -> Iterator[Block]:
    """Group lines into paragraphs, each with what is indented below it."""
    start = end = None
    for number in range(first, last + 1):
        line = lines[number]
        if not line.strip():
            continue
        follows = end == number - 1
        if start is not None and end is not None and not follows and not line[0].isspace():
            yield Block(start, end)
            start = None
        start = number if start is None else start
        end = number
    if start is not None and end is not None:
        yield Block(start, end)
