"""Options that say where to look, shared by ``alcove search`` and ``alcove ask``."""

from __future__ import annotations

import argparse
import os
import time

from retrieval.notes import resolve_folder
from retrieval.queries.filters import FORMATS, WHEN, checked, parse_format, parse_when
from retrieval.types import Filters, Format


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add ``--in`` and the conditions on notes."""
    group = parser.add_argument_group("where to look", "each may be given again")
    group.add_argument(
        "--in",
        dest="folders",
        metavar="NAME|FOLDER",
        action="append",
        default=[],
        help="only this collection, indexed folder, or folder inside one",
    )
    group.add_argument(
        "--path",
        dest="paths",
        metavar="GLOB",
        action="append",
        default=[],
        help="only notes with such a path, as in a .gitignore: 'git/**', '*.py', '!archive/**'",
    )
    group.add_argument(
        "--tag",
        dest="tags",
        metavar="TAG",
        action="append",
        default=[],
        help="only notes with this tag; project is also project/alcove; '!draft' without it",
    )
    group.add_argument(
        "--format",
        dest="formats",
        metavar="FORMAT",
        type=_format,
        action="append",
        default=[],
        help=f"only notes in this format: {', '.join(FORMATS)}",
    )
    group.add_argument(
        "--after", metavar="WHEN", type=_when, help="only notes modified then or later: 7d, 2025-01"
    )
    group.add_argument(
        "--before", metavar="WHEN", type=_when, help="only notes modified before: 3m, 2025-01-31"
    )


def places(arguments: argparse.Namespace) -> tuple[tuple[str, ...], str]:
    """Give the collections and folders asked for, and the folder that relative ones start from.

    Raises ``FolderError`` for what can be neither.
    """
    for text in arguments.folders:
        resolve_folder(text)
    try:
        base = os.getcwd()  # noqa: PTH109 - as text, for a query
    except OSError:
        base = ""
    return tuple(arguments.folders), base if arguments.folders else ""


def filters(arguments: argparse.Namespace) -> Filters:
    """Give the conditions on notes. Raises ``FilterError`` for those that none can meet."""
    return checked(
        Filters(
            paths=tuple(arguments.paths),
            tags=tuple(arguments.tags),
            formats=tuple(arguments.formats),
            after=arguments.after,
            before=arguments.before,
        )
    )


def _format(text: str) -> Format:
    found = parse_format(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is none of: {', '.join(FORMATS)}")
    return found


def _when(text: str) -> float:
    when = parse_when(text, time.time())
    if when is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write {WHEN}")
    return when
