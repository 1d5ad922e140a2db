"""A note cut into chunks that an embedder reads whole.

Pure. A chunk is a contiguous run of whole lines, so that a citation can name them; only a line
that is too long by itself is shared between chunks. Sections stay together where they fit, code,
tables and lists are cut only where they do not, into even parts, and each chunk knows the
headings above it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TypeVar

from retrieval.blocks.outline import note_blocks, parts, place_name
from retrieval.blocks.packing import Piece, pack
from retrieval.blocks.text import Block
from retrieval.types import Chunk, Note

VERSION = 4
"""Raised whenever the same note gives other chunks: an index of another version is rebuilt."""

_CONTEXT_CHARACTERS = 120  # At most half of what a usual embedder reads, in any script.
_CHARACTERS_PER_TOKEN = 10  # A lower bound: a tokenizer may count an endless word as one token.
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])")
_WORD = re.compile(r"\S+\s*")
_TO_A_NOTE = re.compile(
    r"(?<=\])\((?![a-z][a-z0-9+.-]*:|//)[^()\s]+\.(?:md|markdown|html?|rst|org|txt|pdf)(?:#[^()\s]*)?\)",
    re.IGNORECASE,
)
"""Where a relative link leads. It says what the link's text says: lists of links would count twice
what the notes that they lead to say once."""

T = TypeVar("T")

CountTokens = Callable[[Sequence[str]], list[int]]
"""Counts the tokens of each text as the embedder will."""


def chunk_note(note: Note, count_tokens: CountTokens, max_tokens: int) -> list[Chunk]:
    """Cut a note into chunks of at most ``max_tokens``, title and headings included."""
    lines = note.text.split("\n")
    blocks = note_blocks(note)
    if not blocks:
        return []
    cutter = _Cutter(note, lines, count_tokens, max_tokens)
    chunks: list[Chunk] = []
    seen: Counter[str] = Counter()
    cut = parts(note, cutter.pieces(blocks))
    for pieces in (p for part in cut for p in pack(part, cutter.room, cutter.fits)):
        first, last = _without_blank_ends(lines, pieces[0].first, pieces[-1].last)
        text = _text(lines, first, last, pieces[-1])
        headings = _common([p.path for p in pieces])
        indexed = _indexed(note.title, headings, text)
        seen[indexed] += 1
        key = "\0".join((note.folder, note.path, indexed, str(seen[indexed])))
        chunks.append(
            Chunk(
                id=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32],
                folder=note.folder,
                note_path=note.path,
                title=note.title,
                headings=headings,
                text=text,
                first_line=first + 1,
                last_line=last + 1,
                place=place_name(note.places, first + 1, last + 1),
            )
        )
    return chunks


def indexed_text(chunk: Chunk) -> str:
    """Give what both legs index: the title and headings that the text lacks, then the text.

    Targets of links to other notes are left out.
    """
    return _indexed(chunk.title, chunk.headings, chunk.text)


def _indexed(title: str, headings: Sequence[str], text: str) -> str:
    own = {line.strip(" #\t") for line in text.split("\n", 8)[:8]}
    context = " > ".join(p for p in dict.fromkeys((title, *headings)) if p not in own)
    text = _TO_A_NOTE.sub("", text)
    return f"{context[:_CONTEXT_CHARACTERS]}\n{text}" if context else text


class _Cutter:
    """Measures blocks and cuts those that are too long."""

    def __init__(
        self, note: Note, lines: list[str], count_tokens: CountTokens, max_tokens: int
    ) -> None:
        self._title = note.title
        self._lines = lines
        self._count = count_tokens
        self._max_tokens = max_tokens
        self._rooms: dict[tuple[str, ...], int] = {}
        self._sizes: dict[int, list[tuple[str, int]]] = {}
        self._tokens = self._measure([line.strip() for line in lines])
        self._sums = [0, *accumulate(self._tokens)]

    def room(self, path: tuple[str, ...]) -> int:
        """Give the tokens that the title and headings leave for text."""
        if path not in self._rooms:
            context = " > ".join(dict.fromkeys((self._title, *path)))[:_CONTEXT_CHARACTERS]
            used = self._measure([context])[0]
            self._rooms[path] = max(self._max_tokens - used, self._max_tokens // 4, 1)
        return self._rooms[path]

    def pieces(self, blocks: Sequence[Block]) -> list[Piece]:
        """Give blocks as pieces that fit, each with its heading path."""
        pieces: list[Piece] = []
        path: list[tuple[int, str]] = []
        ends = _section_ends(blocks)
        for number, block in enumerate(blocks):
            if block.level:
                path = [(level, text) for level, text in path if level < block.level]
                path.append((block.level, block.heading))
            headings = tuple(text for _, text in path if text)
            if block.front_matter and number + 1 < len(blocks) and blocks[number + 1].heading:
                headings = (blocks[number + 1].heading,)  # It may share the first section's chunk.
            level = 0 if block.whole else block.level
            section = self._span(block.first, blocks[ends[number]].last) if level else 0
            tokens = self._span(block.first, block.last)
            opens = block.whole and bool(pieces) and pieces[-1].path != headings
            if tokens <= self.room(headings):
                pieces.append(
                    Piece(block.first, block.last, tokens, headings, level, section, opens=opens)
                )
            else:
                split = self._split(block, headings, self._above(pieces, headings))
                pieces += [replace(p, opens=opens and p is split[0]) for p in split]
        return pieces

    def fits(self, pieces: Sequence[Piece]) -> bool:
        """Say whether pieces fit one chunk, by measuring what would be indexed."""
        text = _text(self._lines, pieces[0].first, pieces[-1].last, pieces[-1])
        indexed = _indexed(self._title, _common([p.path for p in pieces]), text)
        return self._measure([indexed])[0] <= self._max_tokens

    def _above(self, pieces: Sequence[Piece], path: tuple[str, ...]) -> int:
        """Count the tokens of the headings right above, for which a first part leaves room."""
        above = 0
        for piece in reversed(pieces):
            if not piece.level or above + piece.tokens > self.room(path) // 2:
                break
            above += piece.tokens
        return above

    def _measure(self, texts: Sequence[str]) -> list[int]:
        """Count tokens, each text once; of those that cannot fit a lower bound is enough."""
        least = {text: -(-len(text) // _CHARACTERS_PER_TOKEN) for text in texts}
        counted = [text for text, tokens in least.items() if tokens <= self._max_tokens]
        for text, count in zip(counted, self._count(counted), strict=True):
            least[text] = max(count, least[text])
        return [least[text] for text in texts]

    def _span(self, first: int, last: int) -> int:
        return self._sums[last + 1] - self._sums[first]

    def _split(self, block: Block, path: tuple[str, ...], above: int) -> list[Piece]:
        """Cut a block into even parts; ``above`` tokens of headings go with the first."""
        room = self.room(path)
        lines = self._tokens[block.first : block.last + 1]
        least = max((tokens for tokens in lines if tokens <= room), default=room)
        return [
            p
            for p in _evenly(lambda limit: self._cut(block, path, above, limit), least, room)
            if p.text is not None or any(self._lines[i].strip() for i in range(p.first, p.last + 1))
        ]

    def _cut(self, block: Block, path: tuple[str, ...], above: int, limit: int) -> list[Piece]:
        """Cut a block at line ends, where the text gives the best reason to, within a limit."""
        room = self.room(path)
        pieces: list[Piece] = []
        first = block.first
        while first <= block.last:
            if self._tokens[first] > room:
                pieces.extend(
                    Piece(first, first, tokens, path, text=text)
                    for text, tokens in self._split_line(first, room, 0 if pieces else above)
                )
                first += 1
                continue
            last, used = first, 0 if pieces else above
            while last < block.last and used + self._span(first, last + 1) <= limit:
                last += 1
            if last < block.last:
                last = self._best_end(first, last)
            pieces.append(Piece(first, last, self._span(first, last), path))
            first = last + 1
        return pieces

    def _best_end(self, first: int, last: int) -> int:
        """Choose the line to end with, in the later half of those that fit."""
        best, best_value = last, -1
        for end in range(last, first + (last - first) // 2 - 1, -1):
            line, following = self._lines[end], self._lines[end + 1]
            if not following.strip() or not line.strip():
                value = 3
            elif re.match(r"([-*+]|\d{1,9}[.)])\s", following):
                value = 2
            else:
                value = int(line.rstrip().endswith((".", "!", "?", ":", ";", "。")))
            if value > best_value:
                best, best_value = end, value
        return best

    def _split_line(self, number: int, room: int, above: int) -> list[tuple[str, int]]:
        """Cut an overlong line into even contiguous parts: at sentences, words, characters."""
        if number not in self._sizes:
            self._sizes[number] = self._sized(_at(_SENTENCE, self._lines[number]), room)
        sized = self._sizes[number]
        least = max(tokens for _, tokens in sized)
        parts = _evenly(lambda limit: _joined(sized, above, limit), least, room)
        return [(text.strip(), tokens) for text, tokens in parts if text.strip()]

    def _sized(self, parts: Sequence[str], room: int) -> list[tuple[str, int]]:
        """Measure parts, and cut those that do not fit into words and runs of characters."""
        sized: list[tuple[str, int]] = []
        for text, tokens in zip(parts, self._measure(parts), strict=True):
            if tokens <= room:
                sized.append((text, tokens))
                continue
            words = _WORD.findall(text)
            if len(words) > 1:
                sized.extend(self._sized(words, room))
            else:
                runs = [text[i : i + room] for i in range(0, len(text), room)]
                sized.extend(zip(runs, self._measure(runs), strict=True))
        return sized


def _evenly(cut: Callable[[int], list[T]], least: int, room: int) -> list[T]:
    """Cut into as few parts as fit the room, and make them as alike as so many can be.

    Of a full part and a small rest, one says too much at once and the other too little to be
    found for the right reason. No limit under ``least`` is of use.
    """
    parts = cut(room)
    while len(parts) > 1 and least < room:
        limit = (least + room) // 2
        tighter = cut(limit)
        if len(tighter) > len(parts):
            least = limit + 1
        else:
            parts, room = tighter, limit
    return parts


def _joined(sized: Sequence[tuple[str, int]], above: int, limit: int) -> list[tuple[str, int]]:
    """Join neighbouring texts up to a limit; the first part has ``above`` tokens less."""
    parts: list[tuple[list[str], int]] = []
    used = above
    for text, tokens in sized:
        if not parts or used + tokens > limit:
            used = 0 if parts else above
            parts.append(([], 0))
        parts[-1] = (parts[-1][0], parts[-1][1] + tokens)
        parts[-1][0].append(text)
        used += tokens
    return [("".join(texts), tokens) for texts, tokens in parts]


def _text(lines: Sequence[str], first: int, last: int, end: Piece) -> str:
    """Give a chunk's text: its lines, of which the last may be the beginning of an overlong one."""
    if end.text is None:
        return "\n".join(lines[first : last + 1])
    if first == last:
        return end.text
    stop = lines[last].index(end.text) + len(end.text)
    return "\n".join([*lines[first:last], lines[last][:stop]])


def _section_ends(blocks: Sequence[Block]) -> list[int]:
    """Give the last block of the section that each heading opens; of others, the block itself.

    A section ends before the next heading of its level or above.
    """
    ends = list(range(len(blocks)))
    opened: list[int] = []
    for number, block in enumerate(blocks):
        while block.level and opened and blocks[opened[-1]].level >= block.level:
            ends[opened.pop()] = number - 1
        if block.level:
            opened.append(number)
    for number in opened:
        ends[number] = len(blocks) - 1
    return ends


def _without_blank_ends(lines: Sequence[str], first: int, last: int) -> tuple[int, int]:
    """Narrow a range to its first and last line that are not blank."""
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last].strip():
        last -= 1
    return first, last


def _at(pattern: re.Pattern[str], text: str) -> list[str]:
    """Cut a text after each match; the parts joined are the text."""
    ends = [*(m.end() for m in pattern.finditer(text)), len(text)]
    return [text[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Give the headings that all paths begin with."""
    common: list[str] = []
    for level in zip(*paths, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return tuple(common)
