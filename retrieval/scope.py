"""Where a query looks: indexed folders, or parts of them, that can be reached now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import IndexMissingError
from retrieval.notes import NOT_THERE, folder_problem, resolve_folder
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
    """What is to be said of folders that cannot be reached."""


def find_scope(store: Store, wanted: Sequence[str]) -> Scope:
    """Find where to look: below the wanted paths, everywhere when there are none.

    A path below an indexed folder stands for that part of it. Raises ``IndexMissingError``.
    """
    known = store.folders()
    if not known:
        raise _missing("Nothing has been indexed yet.", "FOLDER")
    parts: dict[str, set[str]] = {}
    for path in map(resolve_folder, wanted):
        folder, prefix = _place(path, known)
        parts.setdefault(folder, set()).add(prefix)
    if not wanted:
        parts = {folder: {""} for folder in known}
    notices = {folder: folder_notice(folder) for folder in parts}
    folders = tuple(folder for folder in parts if not notices[folder])
    return Scope(
        folders=folders,
        only=() if set(folders) == set(known) else folders,
        within=_within(store, {folder: parts[folder] for folder in folders}),
        notices=tuple(filter(None, notices.values())),
    )


def folder_notice(folder: str) -> str:
    """Say that an indexed folder cannot be reached now, and what to do; empty when it can be."""
    why = folder_problem(Path(folder))
    notice = f"The folder {folder} {why}; its notes are left out."
    if why == NOT_THERE:
        notice += f" If it is gone for good: alcove forget {folder}"
    return notice if why else ""


def _place(path: Path, known: Sequence[str]) -> tuple[str, str]:
    """Give the indexed folder that holds a path, and the path inside it; empty for all of it."""
    for folder in (path, *path.parents):
        if str(folder) in known:
            return str(folder), "" if folder == path else path.relative_to(folder).as_posix()
    raise _missing(f"{path} has not been indexed yet.", str(path))


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
