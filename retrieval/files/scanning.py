"""A folder's notes, listed: what is there and how large, without opening a file.

Left alone without a word: hidden files and folders, what ignore files name, folders that tools
fill (``node_modules``, ``__pycache__``, virtual environments), files that are no notes, and links
out of the folder. A link inside it is followed to what is not listed anyway, once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.files.folders import GONE, plain, readable, require_folder, unlistable
from retrieval.files.formats import format_of
from retrieval.files.ignoring import Ignoring, rules_above
from retrieval.types import Skipped

MAX_BYTES = 20 * 1000 * 1000
"""Largest note that is read, unless a setting says otherwise."""

MAX_DATA_BYTES = 1000 * 1000
"""Largest CSV or JSON file that is read: larger ones are data sets, not notes."""

_TOOLS = frozenset({"node_modules", "__pycache__"})
_ENVIRONMENT = "pyvenv.cfg"


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
    """Every file with a note's name that can be opened as one, readable or not."""
    skipped: tuple[Skipped, ...]
    """What has a note's name and is none, and folders that cannot be listed, with reasons."""
    unlisted: tuple[str, ...]
    """Those folders: nothing is known of what is below them."""
    directories: tuple[str, ...] = ()
    """Paths of the folders that were listed; the folder itself is ``""``."""


def scan_folder(folder: Path, max_bytes: int = MAX_BYTES) -> Scan:
    """List the notes under a folder.

    Raises ``FolderError`` when the folder itself cannot be listed.
    """
    return _Scanner(require_folder(folder), max_bytes).scan()


def is_note(path: str) -> bool:
    """Say whether a path has a note's name."""
    return format_of(path) is not None


def size_problem(path: str, size: int, max_bytes: int) -> str:
    """Say that a file is too large to be read; empty when it is not."""
    limit, why = max_bytes, "notes are read up to {} MB (index.max_megabytes in the settings)"
    if format_of(path) in {"csv", "json"} and max_bytes > MAX_DATA_BYTES:
        limit, why = MAX_DATA_BYTES, "CSV and JSON files are read up to {} MB"
    if size <= limit:
        return ""
    return f"it is {size / 1e6:.1f} MB; {why.format(f'{limit / 1e6:g}')}"


def stat_note(folder: Path, path: str) -> FileStat | None:
    """Give a note's stat as it is now; nothing when there is no such file.

    Raises ``OSError`` when that cannot be told.
    """
    try:
        info = Path(folder, path).stat()
    except GONE:
        return None
    return FileStat(info.st_size, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory to list."""

    path: str
    """Path below the folder, by which its notes are named."""
    place: str
    """The same with links followed."""
    rules: Ignoring
    """What is ignored where it stands."""


@dataclass(slots=True)
class _Scanner:
    """One scan under way."""

    folder: Path
    max_bytes: int
    files: dict[str, FileStat] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    """Directories that were listed, links followed."""
    linked: set[str] = field(default_factory=set)
    """Files that were found through links, links followed."""
    links: list[tuple[str, Ignoring]] = field(default_factory=list)
    """Links to follow when what needs none is listed."""

    def scan(self) -> Scan:
        """List the folder."""
        rules = Ignoring()
        try:
            rules = rules_above(self.folder)
        except OSError as error:
            self._unread_rules(error, "")
        self._walk(_Directory("", "", rules))
        while self.links:
            links = sorted(self.links, key=lambda link: link[0])
            self.links = []
            for path, link_rules in links:
                self._follow(path, link_rules)
        skipped = _named_apart(self.skipped, self.files)
        return Scan(self.files, skipped, tuple(self.unlisted), tuple(self.directories))

    def _walk(self, start: _Directory) -> None:
        pending = [start]
        while pending:
            directory = pending.pop()
            if directory.place in self.listed:
                continue
            self.listed.add(directory.place)
            pending.extend(self._list(directory))

    def _list(self, directory: _Directory) -> list[_Directory]:
        """Take a directory's notes; gives the directories in it."""
        path = directory.path
        try:
            with os.scandir(Path(self.folder, path)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            self._cannot_list(path, error)
            return []
        names = {entry.name for entry in entries}
        if path and _ENVIRONMENT in names:
            return []
        self.directories.append(path)
        rules = self._rules(directory.rules, path, names)
        inner: list[_Directory] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            child = f"{path}/{entry.name}" if path else entry.name
            if entry.is_symlink():
                self.links.append((child, rules))
            elif entry.is_dir(follow_symlinks=False):
                if entry.name not in _TOOLS and not rules.ignores(child, is_directory=True):
                    place = f"{directory.place}/{entry.name}" if directory.place else entry.name
                    inner.append(_Directory(child, place, rules))
            elif is_note(entry.name) and not rules.ignores(child):
                self._take(child, entry)
                if path != directory.place:
                    self.linked.add(f"{directory.place}/{entry.name}")
        return inner

    def _rules(self, rules: Ignoring, path: str, names: Collection[str]) -> Ignoring:
        try:
            return rules.within(self.folder, path, names)
        except OSError as error:
            self._unread_rules(error, path)
            return rules

    def _follow(self, path: str, rules: Ignoring) -> None:
        """Take what a link leads to, unless it is out of the folder, ignored or listed."""
        is_named_note = is_note(path)
        try:
            target = Path(self.folder, path).resolve(strict=True)
            info = target.stat()
        except (OSError, RuntimeError) as error:
            if is_named_note and not rules.ignores(path):
                self.skipped.append(Skipped(path, f"it cannot be read: {plain(error)}"))
            return
        if target == self.folder or not target.is_relative_to(self.folder):
            return
        is_directory = stat.S_ISDIR(info.st_mode)
        place = target.relative_to(self.folder).as_posix()
        taken = self.listed if is_directory else self.linked
        if place in taken or place in self.files or rules.ignores(path, is_directory):
            return
        if self._is_left_alone(place, is_directory):
            return
        if is_directory:
            self._walk(_Directory(path, place, rules))
        elif is_named_note:
            self.linked.add(place)
            self._take(path, info)

    def _is_left_alone(self, place: str, is_directory: bool) -> bool:
        """Say whether what a link leads to is ignored where it is; being hidden is no matter."""
        *parents, _ = parts = place.split("/")
        if not _TOOLS.isdisjoint(parts) or ".git" in parts:
            return True
        rules = Ignoring()
        for depth in range(len(parts)):
            above = "/".join(parts[:depth])
            try:
                names = os.listdir(Path(self.folder, above))  # noqa: PTH208
                rules = (rules if depth else rules_above(self.folder)).within(
                    self.folder, above, names
                )
            except OSError:
                return False  # What cannot be listed is told when it is taken.
            below = "/".join(parts[: depth + 1])
            if rules.ignores(below, is_directory or depth < len(parents)):
                return True
        return False

    def _take(self, path: str, found: os.DirEntry[str] | os.stat_result) -> None:
        """Note a file's stat, or why it is no note."""
        if readable(path) != path:
            self.skipped.append(Skipped(path, "its name is not valid Unicode; rename it"))
            return
        try:
            info = found.stat(follow_symlinks=False) if isinstance(found, os.DirEntry) else found
        except OSError as error:
            self.skipped.append(Skipped(path, f"it cannot be read: {plain(error)}"))
            return
        if not stat.S_ISREG(info.st_mode):
            self.skipped.append(Skipped(path, "it is not a plain file"))
        elif problem := size_problem(path, info.st_size, self.max_bytes):
            self.skipped.append(Skipped(path, problem))
        else:
            self.files[path] = FileStat(info.st_size, info.st_mtime_ns)

    def _cannot_list(self, path: str, error: OSError) -> None:
        if not path:
            raise unlistable(self.folder, error) from error
        if not isinstance(error, GONE):
            self.unlisted.append(path)
            self.skipped.append(Skipped(path, f"the folder cannot be listed: {plain(error)}"))

    def _unread_rules(self, error: OSError, path: str) -> None:
        name = Path(error.filename or "its ignore file").name
        name = f"{path}/{name}" if path else name
        self.skipped.append(Skipped(name, f"its rules cannot be read: {plain(error)}"))


def _named_apart(skipped: Sequence[Skipped], files: Collection[str]) -> tuple[Skipped, ...]:
    """Spell names that are not valid Unicode so that they are, each unlike any other name."""
    taken = set(files)
    named: list[Skipped] = []
    for skip in sorted(skipped, key=lambda s: (readable(s.path) != s.path, s.path)):
        path = readable(skip.path)
        while path in taken:
            path += "?"
        taken.add(path)
        named.append(Skipped(path, skip.reason))
    return tuple(sorted(named, key=lambda s: s.path))
