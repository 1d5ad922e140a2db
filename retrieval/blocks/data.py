"""CSV and JSON as blocks of lines: rows and values are kept whole. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from retrieval.blocks.text import Block, text_blocks

_DELIMITERS = ",;\t|"
_CLOSING = re.compile(r"\s*[}\])]")


def csv_blocks(text: str) -> tuple[Block, ...]:
    """Split a CSV text into its first row, a heading of what follows, and the other rows."""
    lines = text.split("\n")
    rows = [b for b in _rows(lines) if any(line.strip() for line in lines[b.first : b.last + 1])]
    if not rows:
        return ()
    first = rows[0]
    heading = " ".join("\n".join(lines[first.first : first.last + 1]).split())
    return (Block(first.first, first.last, 1, heading), *rows[1:])


def json_blocks(text: str) -> tuple[Block, ...]:
    """Split a JSON text before each value of its outermost list or object, as it is indented."""
    lines = text.split("\n")
    indents = [_indent(line) for line in lines]
    outer = min((i for i in indents if i), default=0)
    if not outer:
        return text_blocks(text)
    starts = [
        number
        for number, line in enumerate(lines)
        if line.strip() and indents[number] <= outer and not _CLOSING.match(line)
    ]
    # An opening bracket by itself stands with what it opens.
    starts = [n for n in starts if not n or lines[n - 1].strip() not in {"{", "["}]
    if not starts:
        return text_blocks(text)
    starts[0] = min(starts[0], next(n for n, line in enumerate(lines) if line.strip()))
    ends = [*(n - 1 for n in starts[1:]), len(lines) - 1]
    return tuple(
        _without_blanks(lines, first, last) for first, last in zip(starts, ends, strict=True)
    )


def _rows(lines: list[str]) -> Iterator[Block]:
    """Give the lines of each row; a quoted field may hold several."""
    sample = lines[0] if lines else ""
    delimiter = max(_DELIMITERS, key=sample.count)
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    first = 0
    try:
        for _ in reader:
            yield Block(first, reader.line_num - 1)
            first = reader.line_num
    except csv.Error:  # A field of unusual length: a quotation mark that is never closed.
        for number in range(first, len(lines)):
            yield Block(number, number)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else 0


def _without_blanks(lines: list[str], first: int, last: int) -> Block:
    while last > first and not lines[last].strip():
        last -= 1
    return Block(first, last)
