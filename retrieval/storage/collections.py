"""Indexed folders under their names, and which of their notes meet conditions."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from retrieval.errors import CollectionError
from retrieval.notes import resolve_folder
from retrieval.queries.filters import has_tags, path_matcher
from retrieval.storage.database import Database
from retrieval.types import Filters

_LONGEST = 80
_IMPOSSIBLE = re.compile(r"[\x00-\x1f\x7f\"“”/\\]")
_KEPT = 16  # Sets of chunks that are kept, for queries that look in the same notes.


class Collections:
    """The folders of one index as a person names them. Threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[object, frozenset[str]] = {}

    def names(self) -> dict[str, str]:
        """Give each folder's name by its path; one without a name gets that of its last part."""
        rows = self._database.read("SELECT path, name FROM folders ORDER BY number")
        names = {path: name for path, name in rows if name}
        for path, name in rows:
            if not name:
                names[path] = free_name(path, names.values())
        return dict(sorted(names.items()))

    def take_names(self, other: Collections) -> None:
        """Give each folder the name that it has in another index."""
        names = other.names()
        with self._database.write() as db:
            db.executemany(
                "UPDATE folders SET name = ? WHERE path = ?", [(n, p) for p, n in names.items()]
            )

    def named(self, name: str) -> str | None:
        """Give the folder of that name, whatever its case; nothing when there is none."""
        folded = name.casefold()
        return next((path for path, own in self.names().items() if own.casefold() == folded), None)

    def checked(self, folder: str, name: str) -> str:
        """Write a name as it is kept, when that folder may have it. Raises ``CollectionError``."""
        name = usable_name(name)
        owner = self.named(name)
        if owner not in {None, folder}:
            raise CollectionError(
                f"The collection {name!r} is {owner} already.",
                "Choose another name, or give that folder one first.",
            )
        return name

    def put(self, folder: str, name: str | None = None) -> None:
        """Note that a folder is indexed, under a name: its own of before when none is given.

        Raises ``CollectionError`` for a name that cannot be used or is another folder's.
        """
        names = self.names()
        stored = dict(self._database.read("SELECT path, name FROM folders"))
        if name is None:
            name = names.get(folder) or free_name(folder, names.values())
        else:
            name = self.checked(folder, name)
        if stored.get(folder) == name:
            return  # A write would tell every process that the index changed.
        with self._database.write() as db:
            db.execute(
                "INSERT INTO folders (path, name) VALUES (?, ?)"
                " ON CONFLICT (path) DO UPDATE SET name = excluded.name",
                (folder, name),
            )

    def matching(self, folders: Sequence[str], filters: Filters) -> frozenset[str]:
        """Give the ids of the chunks of notes that meet the conditions, of those folders."""
        (generation,) = self._database.read("SELECT value FROM meta WHERE key = 'generation'")[0]
        key = (generation, tuple(folders), filters)
        found = self._kept.get(key)
        if found is None:
            found = self._matching(folders, filters)
            # Replaced whole: another thread may be reading it.
            self._kept = {**dict(list(self._kept.items())[1 - _KEPT :]), key: found}
        return found

    def newest(self, folders: Sequence[str]) -> list[tuple[int, str]]:
        """Give (file, chunk id) of every chunk of those folders, of the newest file first."""
        return self._database.read(
            "SELECT c.file, c.id FROM chunks c JOIN files n ON n.number = c.file"
            " JOIN folders f ON f.number = n.folder"
            " WHERE f.path IN (SELECT value FROM json_each(?))"
            " ORDER BY n.mtime_ns < 0 DESC, n.mtime_ns DESC, c.number",
            (json.dumps(folders),),
        )

    def tags(self) -> tuple[str, ...]:
        """Give every tag of every note, in order."""
        rows = self._database.read(
            "SELECT DISTINCT t.value FROM files n, json_each(n.tags) t ORDER BY t.value"
        )
        return tuple(str(tag) for (tag,) in rows)

    def near_tags(self, tag: str, most: int = 3) -> list[str]:
        """Give the tags of notes that are spelled most like one that no note has."""
        return difflib.get_close_matches(tag, self.tags(), most, cutoff=0.5)

    def texts(self, ids: Iterable[str] | None, word: str) -> list[tuple[str, str, str, str]]:
        """Give id, title, headings as JSON and text of chunks: those, or all that hold a word.

        The word is looked for in any case of its ASCII letters.
        """
        columns = "SELECT c.id, c.title, c.headings, c.text FROM chunks c"
        if ids is not None:
            return self._database.read(
                f"{columns} WHERE c.id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(ids)),),
            )
        pattern = "%" + re.sub(r"([%_\\])", r"\\\1", word) + "%"
        return self._database.read(
            f"{columns} WHERE c.text LIKE ?1 ESCAPE '\\' OR c.title LIKE ?1 ESCAPE '\\'"
            " OR c.headings LIKE ?1 ESCAPE '\\'",
            (pattern,),
        )

    def _matching(self, folders: Sequence[str], filters: Filters) -> frozenset[str]:
        conditions = ["n.reason = ''", "f.path IN (SELECT value FROM json_each(?))"]
        values: list[object] = [json.dumps(folders)]
        if filters.formats:
            conditions.append("n.format IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(filters.formats))
        # A file just written is kept without its time: the folder is asked for that one.
        for bound, sign in ((filters.after, ">="), (filters.before, "<")):
            if bound is not None:
                conditions.append(f"(n.mtime_ns < 0 OR n.mtime_ns {sign} ?)")
                values.append(round(bound * 1e9))
        rows = self._database.read(
            "SELECT n.number, f.path, n.path, n.mtime_ns, n.tags FROM files n"
            f" JOIN folders f ON f.number = n.folder WHERE {' AND '.join(conditions)}",
            values,
        )
        meant = path_matcher(filters.paths)
        files = [
            number
            for number, folder, path, mtime, tags in rows
            if meant(path)
            and (not filters.tags or has_tags(json.loads(tags), filters.tags))
            and (mtime >= 0 or _in_time(Path(folder, path), filters))
        ]
        chunks = self._database.read(
            "SELECT id FROM chunks WHERE file IN (SELECT value FROM json_each(?))",
            (json.dumps(files),),
        )
        return frozenset(chunk_id for (chunk_id,) in chunks)


def find_folder(text: str, names: Mapping[str, str], base: str = "") -> tuple[Path, str]:
    """Find what a person means by a name or a path, and say so when it could be either.

    Without a separator in it, it is a collection of that name when there is one. ``names`` are
    the collections' by their folders.
    """
    path = resolve_folder(Path(base, Path(text).expanduser()) if base else text)
    if os.sep in text or (os.altsep and os.altsep in text):
        return path, ""
    folder = next((f for f, name in names.items() if name.casefold() == text.casefold()), None)
    if folder is None:
        return path, ""
    notice = ""
    if path.exists() and str(path) != folder:
        notice = (
            f"{text} is taken for the collection of that name, {folder}; for the folder here "
            f"write .{os.sep}{text}"
        )
    return Path(folder), notice


def usable_name(name: str) -> str:
    """Write a collection's name as it is kept. Raises ``CollectionError``."""
    name = " ".join(name.split())
    if not name or name.startswith(("-", "~")) or name in {".", ".."} or _IMPOSSIBLE.search(name):
        raise CollectionError(
            f"A collection cannot be named {name!r}.",
            "Use letters, digits, spaces, dots and dashes; no slashes or quotation marks.",
        )
    if len(name) > _LONGEST:
        raise CollectionError(
            f"The name {name[:20]!r}… is too long.", f"Use at most {_LONGEST} characters."
        )
    return name


def free_name(folder: str, taken: Iterable[str]) -> str:
    """Name a folder after its last part; where that is taken its parent's name goes before."""
    used = {name.casefold() for name in taken}
    path = PurePath(folder)
    own, parent = _plain(path.name), _plain(path.parent.name)
    for name in (own, f"{parent}-{own}"):
        if name.casefold() not in used:
            return name
    number = 2
    while f"{own}-{number}".casefold() in used:
        number += 1
    return f"{own}-{number}"


def _plain(part: str) -> str:
    """Write a part of a path so that it can be a name."""
    return _IMPOSSIBLE.sub("-", " ".join(part.split()))[: _LONGEST // 2].lstrip("-~. ") or "root"


def _in_time(path: Path, filters: Filters) -> bool:
    """Say whether a file on disk was modified in time; one that is gone was not."""
    try:
        modified = path.stat().st_mtime
    except OSError:
        return False
    return (filters.after is None or modified >= filters.after) and (
        filters.before is None or modified < filters.before
    )
