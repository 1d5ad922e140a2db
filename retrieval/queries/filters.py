"""Conditions on notes: how a person writes them, and whether a note meets them.

Pure. Paths are matched as git matches them, by ``pathspec``; times are local.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, get_args

from retrieval.errors import FilterError
from retrieval.types import Filters, Format

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

FORMATS: tuple[Format, ...] = get_args(Format)
"""Every format by name."""

WHEN = "a date as 2025-01-31, a month as 2025-01, a year, or 12h, 7d, 2w, 3m, 1y ago"
"""How a time may be written, in words."""

_ALIASES: dict[str, Format] = {
    "md": "markdown",
    "txt": "text",
    "plain": "text",
    "htm": "html",
    "doc": "docx",
    "word": "docx",
    "ipynb": "notebook",
    "jupyter": "notebook",
    "source": "code",
    "tsv": "csv",
    "jsonl": "json",
    "restructuredtext": "rst",
}
_AGO = re.compile(r"(\d{1,5})\s*([hdwmy])(?:\s+ago)?")
_DAYS = {"today": 0, "yesterday": 1}
_NOT = "!"

Matcher = Callable[[str], bool]
"""Says whether a path below a collection is meant."""


def parse_format(text: str) -> Format | None:
    """Read the name of a format; nothing when there is none of that name."""
    name = text.strip().casefold().removeprefix(".")
    if name in FORMATS:
        return FORMATS[FORMATS.index(name)]
    return _ALIASES.get(name)


def parse_tag(text: str) -> str:
    """Write a tag as notes' tags are kept: case-folded, without ``#`` and outer slashes."""
    return _folded(text.strip().removeprefix("#").strip("/"))


def parse_when(text: str, now: float) -> float | None:
    """Read a time, in seconds since the epoch; nothing when it is none.

    A date is its first moment, here; ``7d`` is seven days before ``now``.
    """
    text = " ".join(text.casefold().split())
    try:
        ago = _AGO.fullmatch(text)
        if ago:
            return _before(now, int(ago[1]), ago[2])
        if text in _DAYS:
            midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0)
            return (midnight.replace(microsecond=0) - timedelta(_DAYS[text])).timestamp()
        if re.fullmatch(r"\d{4}(-\d{1,2}){0,2}", text):
            year, month, day = (*map(int, text.split("-")), 1, 1)[:3]
            return datetime(year, month, day).timestamp()
        if re.match(r"\d{4}-\d\d-\d\d", text):
            return datetime.fromisoformat(text.upper()).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return None


def merged(one: Filters, other: Filters) -> Filters:
    """Give the conditions of both; of times the narrower."""
    afters = [when for when in (one.after, other.after) if when is not None]
    befores = [when for when in (one.before, other.before) if when is not None]
    return Filters(
        paths=tuple(dict.fromkeys((*one.paths, *other.paths))),
        tags=tuple(dict.fromkeys((*one.tags, *other.tags))),
        formats=tuple(dict.fromkeys((*one.formats, *other.formats))),
        after=max(afters, default=None),
        before=min(befores, default=None),
    )


def checked(filters: Filters) -> Filters:
    """Write conditions as notes are kept. Raises ``FilterError`` for those that none can meet."""
    if filters.after is not None and filters.before is not None and filters.after >= filters.before:
        raise FilterError(
            f"Nothing was modified after {_moment(filters.after)} and before"
            f" {_moment(filters.before)}: the first is not earlier than the second.",
            "Swap or change the times.",
        )
    path_matcher(filters.paths)
    return replace(filters, tags=tuple(map(_tag, filters.tags)))


def path_matcher(globs: Sequence[str]) -> Matcher:
    """Make a test of paths: one of the globs must match, and none of those that begin with ``!``.

    As in a ``.gitignore``, ``*.py`` is any such file, ``git/**`` and ``git`` what is in that
    folder; upper and lower case are alike. Raises ``FilterError``.
    """
    wanted = [glob for glob in globs if not glob.startswith(_NOT)]
    unwanted = [glob.removeprefix(_NOT) for glob in globs if glob.startswith(_NOT)]
    some, none = _spec(wanted), _spec(unwanted)

    def meant(path: str) -> bool:
        folded = _folded(path)
        if unwanted and none.match_file(folded):
            return False
        return not wanted or bool(some.match_file(folded))

    return meant


def has_tags(tags: Sequence[str], wanted: Sequence[str]) -> bool:
    """Say whether a note's tags hold all that are wanted; ``project/alcove`` is a ``project``."""
    return all(
        any(tag == name.removeprefix(_NOT) or tag.startswith(f"{name.removeprefix(_NOT)}/")
            for tag in tags)
        != name.startswith(_NOT)
        for name in wanted
    )  # fmt: skip


def described(filters: Filters) -> tuple[str, ...]:
    """Write conditions in words, one for each kind."""
    parts: list[str] = []
    wanted = [glob for glob in filters.paths if not glob.startswith(_NOT)]
    if wanted:
        parts.append(f"path {' or '.join(wanted)}")
    parts += [f"path not {glob[1:]}" for glob in filters.paths if glob.startswith(_NOT)]
    for tag in filters.tags:
        parts.append(f"not tag {tag[1:]}" if tag.startswith(_NOT) else f"tag {tag}")
    if filters.formats:
        parts.append(f"format {' or '.join(filters.formats)}")
    if filters.after is not None:
        parts.append(f"modified after {_moment(filters.after)}")
    if filters.before is not None:
        parts.append(f"modified before {_moment(filters.before)}")
    return tuple(parts)


def _tag(text: str) -> str:
    name = parse_tag(text.removeprefix(_NOT))
    if not name:
        raise FilterError("A tag is empty.", "Write the tag's name, with or without #.")
    return f"{_NOT if text.startswith(_NOT) else ''}{name}"


def _spec(globs: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # 30 ms, and most queries have no glob

    patterns: list[str] = []
    for glob in globs:
        # In a file such a line would be a comment.
        patterns.append(f"\\{_folded(glob)}" if glob.startswith("#") else _folded(glob))
        try:
            if not glob.strip():
                raise ValueError(glob)
            GitIgnoreSpec.from_lines(patterns[-1:])
        except (ValueError, re.error) as error:
            raise FilterError(
                f"{glob!r} is not a pattern of paths.",
                "Write it as in a .gitignore: git/**, *.py, notes/2025-*.md.",
            ) from error
    return GitIgnoreSpec.from_lines(patterns)


def _folded(text: str) -> str:
    """Write a name so that case and how accents are encoded, which differs by system, are alike."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def _before(now: float, count: int, unit: str) -> float:
    """Give the time so long before ``now``, by the calendar from days on."""
    if unit == "h":
        return now - 3600 * count  # By the clock on the wall it may be one more or less.
    return _days_before(datetime.fromtimestamp(now), count, unit).timestamp()


def _days_before(now: datetime, count: int, unit: str) -> datetime:
    """Go back in the calendar; a day that its month lacks is the month's last."""
    if unit in "dw":
        return now - timedelta(7 if unit == "w" else 1) * count
    months = now.year * 12 + now.month - 1 - count * (12 if unit == "y" else 1)
    for day in range(now.day, 27, -1):
        try:
            return now.replace(year=months // 12, month=months % 12 + 1, day=day)
        except ValueError:
            continue
    return now.replace(year=months // 12, month=months % 12 + 1)


def _moment(when: float) -> str:
    moment = datetime.fromtimestamp(when)
    midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
    return f"{moment:%Y-%m-%d}" if midnight else f"{moment:%Y-%m-%d %H:%M}"
