"""A folder's files as notes: what is there, what can be read, and why the rest cannot.

Only looks and reads; a user's files are never written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from retrieval.blocks import markdown_title
from retrieval.chunking import MARKDOWN_SUFFIXES
from retrieval.errors import FolderError
from retrieval.types import Fingerprint, Note, Skipped

NOTE_SUFFIXES = MARKDOWN_SUFFIXES | {".txt", ".text"}
"""Endings of the files that are notes; others are left alone without a word."""

MAX_BYTES = 20 * 1000 * 1000
"""Largest note that is read."""

NOT_THERE = "is not there"
"""The problem of a folder that was deleted, moved or unmounted."""

_GONE = (FileNotFoundError, NotADirectoryError)
_OPEN_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FileStat:
    """What a directory says of a file."""

    size: int
    """Bytes."""
    mtime_ns: int
    """Modification time, nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The notes of a folder, by path relative to it."""

    files: dict[str, FileStat]
    """Every file with a note's ending that can be opened as one, readable or not."""
    skipped: tuple[Skipped, ...]
    """Things with a note's ending that are no plain files, and folders that cannot be listed."""
    unlisted: tuple[str, ...]
    """Those folders: nothing is known of what is below them."""


class UnusableNoteError(Exception):
    """A file that cannot be a note; the reason is the message. Never leaves the package."""

    def __init__(self, reason: str, *, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting
        """Whether the reason holds for as long as the file is as it is."""


def resolve_folder(folder: str | Path) -> Path:
    """Give the absolute path that names a folder in the index; it need not exist."""
    try:
        path = Path(folder).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise FolderError(
            f"{_readable(str(folder))} is not a usable path ({error}).",
            "Give the path of a folder of notes.",
        ) from error
    if _readable(str(path)) != str(path):
        raise FolderError(
            f"The name of the folder {_readable(str(path))} is not valid Unicode.",
            "Rename it, or the folder above it that is spelled so.",
        )
    return path


def require_folder(folder: str | Path) -> Path:
    """Give the absolute path of a folder that can be listed, or raise ``FolderError``."""
    path = resolve_folder(folder)
    remedy = "Give the path of a folder that holds your notes (.md or .txt files)."
    try:
        if not path.exists():
            raise FolderError(f"There is no folder {path}.", remedy)
        if not path.is_dir():
            raise FolderError(f"{path} is a file, not a folder.", remedy)
        with os.scandir(path):
            return path
    except OSError as error:
        raise _unlistable(path, error) from error


def folder_problem(folder: Path) -> str:
    """Say what keeps a folder from being listed now; empty when nothing does."""
    try:
        with os.scandir(folder):
            return ""
    except _GONE:
        return NOT_THERE
    except OSError as error:
        return f"cannot be reached ({_plain(error)})"


def scan_folder(folder: Path) -> Scan:
    """List the notes under a folder, hidden ones and other formats left out.

    Raises ``FolderError`` when the folder itself cannot be listed.
    """
    require_folder(folder)
    files: dict[str, FileStat] = {}
    skipped: list[Skipped] = []
    unlisted: list[str] = []
    root = str(folder)
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = sorted(os.scandir(Path(root, prefix)), key=lambda e: e.name)
        except OSError as error:
            if not prefix:
                raise _unlistable(folder, error) from error
            if not isinstance(error, _GONE):
                unlisted.append(prefix)
                skipped.append(Skipped(prefix, f"the folder cannot be listed: {_plain(error)}"))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif is_note(path):
                for item in _look(folder, path, entry):
                    if isinstance(item, FileStat):
                        files[path] = item
                    else:
                        skipped.append(item)
    return Scan(files, _named_apart(skipped, files), tuple(unlisted))


def is_note(path: str) -> bool:
    """Say whether a path has a note's ending."""
    return PurePosixPath(path).suffix.lower() in NOTE_SUFFIXES


def stat_note(folder: Path, path: str) -> FileStat | None:
    """Give a note's stat as it is now; nothing when there is no such file.

    Raises ``OSError`` when that cannot be told.
    """
    try:
        info = Path(folder, path).stat()
    except _GONE:
        return None
    return FileStat(info.st_size, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None


def read_bytes(folder: Path, path: str) -> tuple[bytes, Fingerprint]:
    """Read a file with the fingerprint of exactly what was read.

    Raises ``UnusableNoteError`` with the reason when it cannot be read.
    """
    try:
        # O_NONBLOCK: a pipe with a note's name must not hang the run.
        descriptor = os.open(Path(folder, path), os.O_RDONLY | _OPEN_FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise UnusableNoteError("it is not a plain file")
            if info.st_size > MAX_BYTES:
                raise UnusableNoteError(_too_large(info.st_size))
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = f"it cannot be read: {_plain(error)}"
        raise UnusableNoteError(reason, lasting=False) from error
    if len(data) > MAX_BYTES:
        raise UnusableNoteError(_too_large(len(data)))
    digest = hashlib.sha256(data).hexdigest()
    return data, Fingerprint(info.st_size, info.st_mtime_ns, digest)


def decode(data: bytes) -> str:
    """Give a note's text with newlines normalised, or raise ``UnusableNoteError``."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return _decode_utf16(data)
        raise UnusableNoteError(
            f"it is not UTF-8 text (byte {error.start + 1}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise UnusableNoteError("it holds binary data")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def make_note(folder: Path, path: str, data: bytes, fingerprint: Fingerprint) -> Note:
    """Make a note of a file's bytes, or raise ``UnusableNoteError``."""
    text = decode(data)
    name = PurePosixPath(path)
    title = markdown_title(text) if name.suffix.lower() in MARKDOWN_SUFFIXES else None
    return Note(str(folder), path, title or name.stem, text, fingerprint)


def _decode_utf16(data: bytes) -> str:
    try:
        text = data.decode("utf-16")
    except UnicodeDecodeError as error:
        raise UnusableNoteError("it is neither UTF-8 nor UTF-16 text; save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _look(folder: Path, path: str, entry: os.DirEntry[str]) -> Iterator[FileStat | Skipped]:
    """Give a directory entry's stat, or why it is no note; nothing for a link out of the folder."""
    if _readable(path) != path:
        yield Skipped(path, "its name is not valid Unicode; rename it")
        return
    try:
        if entry.is_symlink():
            target = Path(entry.path).resolve(strict=True)
            if not target.is_relative_to(folder):
                return
        info = entry.stat()
    except (OSError, RuntimeError) as error:
        yield Skipped(path, f"it cannot be read: {_plain(error)}")
        return
    if stat.S_ISREG(info.st_mode):
        yield FileStat(info.st_size, info.st_mtime_ns)
    elif not stat.S_ISDIR(info.st_mode):
        yield Skipped(path, "it is not a plain file")


def _named_apart(skipped: Sequence[Skipped], files: Collection[str]) -> tuple[Skipped, ...]:
    """Spell names that are not valid Unicode so that they are, each unlike any other name."""
    taken = set(files)
    named: list[Skipped] = []
    for skip in sorted(skipped, key=lambda s: (_readable(s.path) != s.path, s.path)):
        path = _readable(skip.path)
        while path in taken:
            path += "?"
        taken.add(path)
        named.append(Skipped(path, skip.reason))
    return tuple(sorted(named, key=lambda s: s.path))


def _readable(path: str) -> str:
    """Give a path as valid Unicode, with what is not written as escapes."""
    return path.encode("utf-8", "backslashreplace").decode()


def _unlistable(folder: Path, error: OSError) -> FolderError:
    return FolderError(
        f"{folder} cannot be read: {_plain(error)}.", "Check the folder's permissions."
    )


def _too_large(size: int) -> str:
    return f"it is {size / 1e6:.1f} MB; notes are read up to {MAX_BYTES / 1e6:.0f} MB"


def _plain(error: BaseException) -> str:
    """Say what an operating-system error means."""
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, FileNotFoundError):
        return "it is gone, or a link that leads nowhere"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "a link that leads to itself"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.lower()
