"""A note as blocks, by what it is written in. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import groupby

from retrieval.blocks.code import code_blocks
from retrieval.blocks.data import csv_blocks, json_blocks
from retrieval.blocks.markup import org_blocks, rst_blocks
from retrieval.blocks.packing import Piece
from retrieval.blocks.text import Block, markdown_blocks, text_blocks
from retrieval.types import Format, Note, Place

_AS_MARKDOWN = frozenset({"markdown", "html", "docx", "epub", "notebook"})
_SPLIT: dict[Format, Callable[[str], tuple[Block, ...]]] = {
    "rst": rst_blocks,
    "org": org_blocks,
    "csv": csv_blocks,
    "json": json_blocks,
}
_APART = frozenset({"pdf", "epub"})
"""Formats with places that a chunk does not go beyond: pages, chapters."""

_COUNTED = frozenset({"page", "cell", "item"})
"""What places are called that have numbers; others have names, which may end with a number."""


def note_blocks(note: Note) -> tuple[Block, ...]:
    """Split a note's text into blocks; every line that is not blank is in exactly one."""
    text = note.text
    if note.format in _AS_MARKDOWN:
        return markdown_blocks(text)
    if note.format == "code":
        return code_blocks(note.path, text)
    return _SPLIT.get(note.format, text_blocks)(text)


def parts(note: Note, pieces: Sequence[Piece]) -> list[Sequence[Piece]]:
    """Group pieces into parts of the note that share no chunk: its pages, its chapters."""
    if note.format not in _APART or not note.places:
        return [pieces]
    starts = [place.first_line - 1 for place in note.places]
    groups = groupby(pieces, key=lambda piece: bisect_right(starts, piece.first))
    return [tuple(group) for _, group in groups]


def place_name(places: tuple[Place, ...], first_line: int, last_line: int) -> str:
    """Name where lines of a text are in its file: ``page 3``, ``cells 4–6``; empty without places.

    Lines count from 1.
    """
    starts = [place.first_line for place in places]
    first, last = (bisect_right(starts, line) - 1 for line in (first_line, last_line))
    if first < 0:
        return ""
    kind, _, number = places[first].label.rpartition(" ")
    last_kind, _, last_number = places[last].label.rpartition(" ")
    if first == last or kind not in _COUNTED or kind != last_kind:
        return places[first].label
    return f"{kind}s {number}–{last_number}"
