"""Where a query looks: indexed folders, or parts of them, that can be reached now."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import IndexMissingError
from retrieval.notes import EMPTY, NOT_THERE, folder_problem
from retrieval.storage.collections import find_folder
from retrieval.store import Store


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be searched."""

    folders: tuple[str, ...]
    """The indexed folders, those that cannot be reached left out."""
    only: tuple[str, ...]
    """The folders to filter by; empty when they are all that is indexed."""
    within: frozenset[str] | None
    """Ids of the chunks to rank, when only parts of the folders were asked for."""
    notices: tuple[str, ...]
    """What is to be said of names that mean two things, and of folders out of reach."""
    missing: bool = False
    """Whether a folder cannot be reached."""


def find_scope(store: Store, wanted: Sequence[str], base: str = "") -> Scope:
    """Find where to look: in the wanted collections and paths, everywhere when there are none.

    A path below an indexed folder stands for that part of it; a relative one starts from
    ``base``. Raises ``IndexMissingError``.
    """
    known = store.folders()
    if not known:
        raise _missing("Nothing has been indexed yet.", "FOLDER")
    parts: dict[str, set[str]] = {}
    said: list[str] = []
    # Only what has no separator can be a name.
    names = store.collections.names() if any(os.sep not in text for text in wanted) else {}
    for text in wanted:
        path, notice = find_folder(text, names, base)
        said += filter(None, [notice])
        folder, prefix = _place(path, known, text, names)
        parts.setdefault(folder, set()).add(prefix)
    if not wanted:
        parts = {folder: {""} for folder in known}
    notices = {folder: folder_notice(store, folder) for folder in parts}
    folders = tuple(folder for folder in parts if not notices[folder])
    return Scope(
        folders=folders,
        only=() if set(folders) == set(known) else folders,
        within=_within(store, {folder: parts[folder] for folder in folders}),
        notices=(*said, *filter(None, notices.values())),
        missing=any(notices.values()),
    )


def folder_notice(store: Store, folder: str) -> str:
    """Say that an indexed folder cannot be reached now, and what to do; empty when it can be."""
    why = folder_problem(Path(folder))
    if why == EMPTY and not store.notes(folder):
        return ""
    notice = f"The folder {folder} {why}; its notes are left out."
    if why in {NOT_THERE, EMPTY}:
        notice += f" If it is gone for good: alcove forget {folder}"
    return notice if why else ""


def _place(
    path: Path, known: Sequence[str], text: str, names: Mapping[str, str]
) -> tuple[str, str]:
    """Give the indexed folder that holds a path, and the path inside it; empty for all of it."""
    for folder in (path, *path.parents):
        if str(folder) in known:
            return str(folder), "" if folder == path else path.relative_to(folder).as_posix()
    if not path.exists() and os.sep not in text:
        close = difflib.get_close_matches(text, names.values(), 3, cutoff=0.5)
        near = f"Meant {' or '.join(close)}? " if close else ""
        there = f"{near}There are: {_some(names)}."
        raise IndexMissingError(f"There is no collection or folder {text}.", there)
    raise _missing(f"{path} has not been indexed yet.", str(path))


def _some(names: Mapping[str, str], most: int = 8) -> str:
    listed = sorted(names.values())
    return ", ".join(listed[:most]) + ("…" if len(listed) > most else "")


def _within(store: Store, parts: dict[str, set[str]]) -> frozenset[str] | None:
    """Give the ids of the chunks in parts of folders; None when every folder is meant whole."""
    if all("" in prefixes for prefixes in parts.values()):
        return None
    ids: set[str] = set()
    for folder, prefixes in parts.items():
        for prefix in prefixes:
            found = store.chunk_ids(folder, prefix)
            if prefix and not found and not Path(folder, prefix).exists():
                raise _missing(f"There are no notes in {Path(folder, prefix)}.", folder)
            ids.update(found)
    return frozenset(ids)


def _missing(title: str, folder: str) -> IndexMissingError:
    return IndexMissingError(title, f"Index it first: alcove index {folder}")
