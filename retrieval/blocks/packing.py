"""Pieces of a note put together into chunks: sections whole where they fit, no scraps. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SCRAP_SHARE = 4  # A chunk under a quarter of what fits is a scrap.

Room = Callable[[tuple[str, ...]], int]
"""Tells how many tokens of text fit under a heading path."""

Fits = Callable[[Sequence["Piece"]], bool]
"""Tells whether pieces fit one chunk, by measuring it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A block or a part of one that fits a chunk."""

    first: int
    """First line, from 0."""
    last: int
    """Last line, inclusive."""
    tokens: int
    """Tokens of its lines."""
    path: tuple[str, ...]
    """Headings above it, outermost first, its own included."""
    level: int = 0
    """Level of a heading, from 1; 0 for everything else."""
    section: int = 0
    """Tokens of the section that a heading opens."""
    text: str | None = None
    """Part of an overlong line; only headings share a chunk with such a piece."""
    opens: bool = False
    """Whether it begins a definition, which shares no chunk with more than a scrap of others."""


def pack(pieces: Sequence[Piece], room: Room, fits: Fits) -> list[Sequence[Piece]]:
    """Group neighbouring pieces into chunks, breaking before sections that do not fit whole."""
    chunks: list[Sequence[Piece]] = []
    current: list[Piece] = []
    used = 0

    def flush() -> None:
        if current:
            chunks.append(tuple(current))
            current.clear()

    for piece in pieces:
        if piece.text is not None:
            limit = min(room(piece.path), room(current[0].path)) if current else 0
            headings = _trailing_headings(current, piece, limit)
            del current[len(current) - len(headings) :]
            flush()
            chunks.append((*headings, piece))
            used = 0
            continue
        limit = min(room(piece.path), room(current[0].path)) if current else room(piece.path)
        needed = piece.section if piece.level and piece.section <= limit else piece.tokens
        only_headings = all(p.level for p in current)
        # A heading that stands in the text is not put above it too, and costs less than it counts.
        fitting = used + piece.tokens <= limit or (only_headings and fits([*current, piece]))
        if current and (
            not fitting
            or (piece.level and used + needed > limit and not only_headings)
            or (piece.level and needed < piece.section and not only_headings)
            or (piece.opens and used >= limit // _SCRAP_SHARE and not only_headings)
        ):
            carried = _trailing_headings(current, piece, limit)
            del current[len(current) - len(carried) :]
            flush()
            current.extend(carried)
            used = sum(p.tokens for p in current)
        current.append(piece)
        used += piece.tokens
    flush()
    return _without_scraps(chunks, room)


def _without_scraps(chunks: Sequence[Sequence[Piece]], room: Room) -> list[Sequence[Piece]]:
    """Give a chunk that is a mere scrap of a section some of what stands before it.

    Alone, the last line of a section says too little to be found for the right reason.
    """
    balanced: list[Sequence[Piece]] = []
    for chunk in chunks:
        before = list(balanced[-1]) if balanced else []
        current = list(chunk)
        limit = room(current[0].path)
        used, left = (sum(p.tokens for p in pieces) for pieces in (current, before))
        is_scrap = used < limit // _SCRAP_SHARE and not current[0].level and not current[0].text
        while is_scrap and len(before) > 1:
            moved = before[-1]
            limit = min(limit, room(moved.path))
            if moved.text or used + moved.tokens > limit or left - moved.tokens < used:
                break
            current.insert(0, before.pop())
            used, left = used + moved.tokens, left - moved.tokens
            is_scrap = used < limit // _SCRAP_SHARE
        if balanced and len(before) < len(balanced[-1]):
            balanced[-1] = tuple(before)
        balanced.append(tuple(current))
    return balanced


def _trailing_headings(current: Sequence[Piece], piece: Piece, limit: int) -> list[Piece]:
    """Give the headings at the end of a full chunk that belong with the piece to come."""
    carried: list[Piece] = []
    total = piece.tokens
    for candidate in reversed(current):
        if not candidate.level or total + candidate.tokens > limit:
            break
        if piece.level and candidate.level >= piece.level:
            break
        total += candidate.tokens
        carried.insert(0, candidate)
    return carried
