"""The folders that are indexed, as places on disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from retrieval.errors import FolderError

NOT_THERE = "is not there"
"""The problem of a folder that was deleted, moved or unmounted."""

EMPTY = "is empty, as when its drive is not plugged in"
"""The problem of a folder that holds nothing at all; it is none for one that never held a note."""

GONE = (FileNotFoundError, NotADirectoryError)
"""Errors that say that there is no such file."""


def resolve_folder(folder: str | Path) -> Path:
    """Give the absolute path that names a folder in the index; it need not exist."""
    try:
        path = Path(folder).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise FolderError(
            f"{readable(str(folder))} is not a usable path ({error}).",
            "Give the path of a folder of notes.",
        ) from error
    if readable(str(path)) != str(path):
        raise FolderError(
            f"The name of the folder {readable(str(path))} is not valid Unicode.",
            "Rename it, or the folder above it that is spelled so.",
        )
    return path


def require_folder(folder: str | Path) -> Path:
    """Give the absolute path of a folder that can be listed, or raise ``FolderError``."""
    path = resolve_folder(folder)
    remedy = "Give the path of a folder that holds your notes."
    try:
        if not path.exists():
            raise FolderError(f"There is no folder {path}.", remedy)
        if not path.is_dir():
            raise FolderError(f"{path} is a file, not a folder.", remedy)
        with os.scandir(path):
            return path
    except OSError as error:
        raise unlistable(path, error) from error


def folder_problem(folder: Path) -> str:
    """Say what keeps the notes of a folder from being there now; empty when nothing does."""
    try:
        with os.scandir(folder) as entries:
            return "" if any(entries) else EMPTY
    except GONE:
        return NOT_THERE
    except OSError as error:
        return f"cannot be reached ({plain(error)})"


def unlistable(folder: Path, error: OSError) -> FolderError:
    """Make the error for a folder that cannot be listed."""
    return FolderError(
        f"{folder} cannot be read: {plain(error)}.", "Check the folder's permissions."
    )


def readable(path: str) -> str:
    """Give a path as valid Unicode, with what is not written as escapes."""
    return path.encode("utf-8", "backslashreplace").decode()


def plain(error: BaseException) -> str:
    """Say what an operating-system error means."""
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, FileNotFoundError):
        return "it is gone, or a link that leads nowhere"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "a link that leads to itself"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.lower()
