"""Markdown to blocks, each with its lines.

Pure. A line scanner and not a parser of documents: it is given chunks, which may begin in the
middle of a list, a table or a code block, and it must keep the number of every line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

BlockKind = Literal["heading", "paragraph", "item", "code", "table"]
"""What a run of lines is."""


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines that belong together."""

    kind: BlockKind
    """What they are."""
    first: int
    """Offset of the first line, from 0."""
    lines: tuple[str, ...]
    """The lines without quote, heading and list markers; code and tables with their fences."""

    @property
    def last(self) -> int:
        """Offset of the last line, inclusive."""
        return self.first + len(self.lines) - 1


_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*([^`]*)$")
_HEADING = re.compile(r"^ {0,3}#{1,6}(?:\s+(.*?))?(?:\s+#+)?\s*$")
_SETEXT = re.compile(r"^ {0,3}(?:=+|-{2,})\s*$")
_RULE = re.compile(r"^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?(?=\S)")
_QUOTE = re.compile(r"^ {0,3}(?:>\s?)+")
_DELIMITER = re.compile(r"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*\S+\s*(?:[\"'(].*)?$")
_INDENTED = re.compile(r"^(?: {4}|\t)")
_KEY = re.compile(r"^[\w-]+\s*:")


INLINE_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
"""Code within a line, with its backticks."""


def blocks(text: str, *, partial: bool = False) -> list[Block]:
    """Split Markdown into blocks, in order; rules, definitions and front matter are left out.

    A ``partial`` text may begin anywhere in a document: a code block may be open already.
    """
    return list(_Scanner(text.split("\n")).scan(partial=partial))


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change what is neither in a code block nor in inline code, and leave the rest as it is."""
    lines = text.split("\n")
    code = {
        at
        for block in blocks(text)
        if block.kind == "code"
        for at in range(block.first, block.last + 1)
    }
    parts: list[str] = []
    for is_code, run in groupby(range(len(lines)), key=code.__contains__):
        part = "\n".join(lines[at] for at in run)
        parts.append(part if is_code else _outside_inline_code(part, change))
    return "\n".join(parts)


def _outside_inline_code(text: str, change: Callable[[str], str]) -> str:
    parts: list[str] = []
    at = 0
    for match in INLINE_CODE.finditer(text):
        parts += [change(text[at : match.start()]), match[0]]
        at = match.end()
    return "".join([*parts, change(text[at:])])


class _Scanner:
    """Walks over the lines once; each method reads one kind of block from ``self.at``."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0
        self.in_list = False

    def scan(self, *, partial: bool) -> Iterator[Block]:
        self._skip_front_matter()
        if partial and _starts_in_code(self.lines):
            yield self._code_to_fence()
        while self.at < len(self.lines):
            block = self._next()
            if block is not None and any(line.strip() for line in block.lines):
                yield block

    def _next(self) -> Block | None:
        raw = self.lines[self.at]
        line = _QUOTE.sub("", raw)
        fence = _FENCE.match(line)
        if fence is not None:
            return self._fence(fence[2], quoted=line != raw)
        if not line.strip() or _RULE.match(line) or _DEFINITION.match(line):
            self.at += 1
            return None
        if self._is_table(line):
            return self._table()
        if _INDENTED.match(line) and not self.in_list:
            return self._indented()
        return self._words(line)

    def _words(self, line: str) -> Block:
        heading = _HEADING.match(line)
        if heading is not None:
            self.in_list = False
            return self._take("heading", [heading[1] or ""])
        if _ITEM.match(line):
            self.in_list = True
            return self._prose("item", _ITEM.sub("", line))
        self.in_list = self.in_list and line[0].isspace()
        return self._prose("paragraph", line)

    def _take(self, kind: BlockKind, lines: list[str]) -> Block:
        block = Block(kind, self.at, tuple(lines))
        self.at += len(lines)
        return block

    def _skip_front_matter(self) -> None:
        if len(self.lines) < 3 or self.lines[0].rstrip() != "---" or not _KEY.match(self.lines[1]):
            return
        for offset, line in enumerate(self.lines[1:], start=1):
            if line.rstrip() in ("---", "..."):
                self.at = offset + 1
                return

    def _code_to_fence(self) -> Block:
        end = next(i for i, line in enumerate(self.lines) if _FENCE.match(line))
        return self._take("code", self.lines[self.at : end + 1])

    def _fence(self, mark: str, *, quoted: bool) -> Block:
        taken: list[str] = []
        for line in self.lines[self.at :]:
            content = _QUOTE.sub("", line, count=1) if quoted else line
            taken.append(content)
            closing = content.strip()
            if len(taken) > 1 and len(closing) >= len(mark) and set(closing) == {mark[0]}:
                break
        return self._take("code", taken)

    def _indented(self) -> Block:
        taken: list[str] = []
        for line in self.lines[self.at :]:
            if line.strip() and not _INDENTED.match(line):
                break
            taken.append(line)
        while not taken[-1].strip():
            taken.pop()
        return self._take("code", taken)

    def _is_table(self, line: str) -> bool:
        following = self.lines[self.at + 1] if self.at + 1 < len(self.lines) else ""
        if "|" in line and "|" in following and _DELIMITER.match(_QUOTE.sub("", following)):
            return True
        return line.lstrip().startswith("|") and line.rstrip().endswith("|")

    def _table(self) -> Block:
        taken: list[str] = []
        for line in self.lines[self.at :]:
            content = _QUOTE.sub("", line)
            if "|" not in content:
                break
            taken.append(content)
        return self._take("table", taken)

    def _prose(self, kind: BlockKind, first: str) -> Block:
        taken = [first]
        for line in self.lines[self.at + 1 :]:
            content = _QUOTE.sub("", line)
            if _SETEXT.match(content) and kind == "paragraph":
                block = self._take("heading", taken)
                self.at += 1
                return block
            if not content.strip() or _interrupts(content):
                break
            taken.append(content)
        return self._take(kind, taken)


def _interrupts(line: str) -> bool:
    return any(pattern.match(line) for pattern in (_FENCE, _HEADING, _ITEM, _RULE))


def _starts_in_code(lines: list[str]) -> bool:
    """Tell whether a chunk begins inside a code block that an earlier chunk opened.

    Its first fence is then a bare closing one: what follows would make no sense as code, because
    an opening fence with a language comes next, or nothing closes it and what stands before it
    has no prose.
    """
    fences = [(at, match) for at, line in enumerate(lines) if (match := _FENCE.match(line))]
    if not fences or fences[0][1][3].strip():
        return False
    if len(fences) % 2 == 0:
        return len(fences) > 1 and bool(fences[1][1][3].strip())
    if len(fences) > 1:
        return bool(fences[1][1][3].strip())
    before = [line.strip() for line in lines[: fences[0][0]] if line.strip()]
    return bool(before) and not any(
        _HEADING.match(line) or line.endswith((".", ":", "?", "!")) for line in before
    )


def fenced(block: Block) -> str:
    """Write a code block or table as it stands, its common indentation taken away.

    Code without a fence, or with one of its two fences in another chunk, gets what is missing.
    """
    lines = list(block.lines)
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    lines = [line[min(indents, default=0) :] for line in lines]
    if block.kind == "table":
        return "\n".join(lines)
    opening = _FENCE.match(lines[0])
    mark = "```"
    if opening is not None and len(lines) > 1:
        mark = opening[2]
    else:
        lines.insert(0, mark)
    if not (lines[-1].strip() and set(lines[-1].strip()) == {mark[0]} and len(lines) > 1):
        lines.append(mark)
    return "\n".join(lines)
