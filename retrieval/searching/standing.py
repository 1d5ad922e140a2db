"""What is quoted stands in its file now: chunks are checked against the files behind them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.errors import IndexLockedError
from retrieval.fusion import Fused
from retrieval.indexer import Indexer
from retrieval.indexes import Indexes
from retrieval.notes import UnusableNoteError, folder_problem, make_note, read_bytes
from retrieval.searching.freshness import notes_counted
from retrieval.types import Chunk, Passage

_EMBED_AT_ONCE = 64  # Texts of changed files that a search embeds before it answers.


@dataclass(frozen=True, slots=True)
class Left:
    """A chunk that was found and is not among the passages."""

    fused: Fused
    """Its place in the fused ranking."""
    chunk: Chunk | None
    """It; none when it is not in the index any more."""
    reason: str
    """Why it was left out."""


@dataclass(slots=True)
class Selection:
    """The best chunks that stand in their files."""

    passages: list[Passage] = field(default_factory=list)
    """They, best first."""
    left: list[Left] = field(default_factory=list)
    """What stood before the last of them and was left out, best first."""
    changed: dict[str, set[str]] = field(default_factory=dict)
    """Files that changed since they were indexed, by folder."""


@dataclass(frozen=True, slots=True)
class _FileNow:
    """A file behind a hit, as it is on disk."""

    place: str
    """Its path with links followed: one file may be reached through several folders."""
    lines: tuple[str, ...]
    """The lines of its text when it changed; none when it is gone or no note any more."""
    fresh: bool
    """Whether the index has read it in this state: what is stored of it still holds."""


class Standing:
    """Checks what the legs found. Threads may share it."""

    def __init__(self, indexes: Indexes, indexer: Indexer) -> None:
        self._indexes = indexes
        self._indexer = indexer

    def select(self, fused: Sequence[Fused], most: int) -> Selection:
        """Give the ``most`` best chunks that stand in their files."""
        selection = Selection()
        files: dict[tuple[str, str], _FileNow] = {}
        taken: set[tuple[str, int, int, str]] = set()
        step = max(2 * most, 16)
        for start in range(0, len(fused), step):
            some = fused[start : start + step]
            ids = [f.chunk_id for f in some]
            generation = self._indexes.store.generation()
            chunks = self._indexes.store.chunks(ids)
            read = self._indexes.store.digests_behind(ids)
            for item in some:
                chunk = chunks.get(item.chunk_id)
                if chunk is None:
                    selection.left.append(Left(item, None, "its note changed during the search"))
                    continue
                where = (chunk.folder, chunk.note_path)
                if where not in files:
                    files[where] = self._file_now(*where, read.get(where))
                now = files[where]
                if not now.fresh:
                    selection.changed.setdefault(chunk.folder, set()).add(chunk.note_path)
                span = (now.place, chunk.first_line, chunk.last_line, chunk.text)
                if not (now.fresh or _stands_in(chunk, now.lines)):
                    selection.left.append(Left(item, chunk, "it is not in its file any more"))
                elif span in taken:
                    selection.left.append(Left(item, chunk, "the same passage is there already"))
                else:
                    taken.add(span)
                    selection.passages.append(Passage(chunk, item.score, item.contributions))
                if len(selection.passages) == most:
                    break
            self._drop_replaced(selection, chunks, generation)
            if len(selection.passages) == most:
                break
        return selection

    def refresh(self, changed: dict[str, set[str]], notices: list[str]) -> bool:
        """Read changed files again; says whether the search is worth repeating."""
        refreshed = False
        for folder, paths in changed.items():
            if folder_problem(Path(folder)):
                continue  # It went away just now; its files are not known to be gone.
            try:
                self._indexer.refresh(Path(folder), sorted(paths), _EMBED_AT_ONCE)
                refreshed = True
            except IndexLockedError:
                notices.append(
                    f"{notes_counted(len(paths))} changed while another process is indexing; "
                    "passages that are no longer there were left out."
                )
        return refreshed

    def _drop_replaced(
        self, selection: Selection, chunks: Mapping[str, Chunk], generation: int
    ) -> None:
        """Leave out what is not in the index as it was read, at that generation of the store.

        Another thread may have indexed a file between the look at its chunks and at itself.
        """
        if self._indexes.store.generation() == generation:
            return
        ids = [p.chunk.id for p in selection.passages if p.chunk.id in chunks]
        now = self._indexes.store.chunks(ids)
        for passage in [p for p in selection.passages if p.chunk.id in chunks]:
            if now.get(passage.chunk.id) != passage.chunk:
                selection.passages.remove(passage)
                item = Fused(passage.chunk.id, passage.score, passage.contributions)
                selection.left.append(Left(item, passage.chunk, "it is not in its file any more"))

    def _file_now(self, folder: str, path: str, sha256: str | None) -> _FileNow:
        """Read a file behind a hit, and compare it with what the index read."""
        place = os.path.realpath(Path(folder, path))
        try:
            data, fingerprint = read_bytes(Path(folder), path, self._indexer.max_bytes)
            if sha256 == fingerprint.sha256:
                return _FileNow(place, (), fresh=True)
            note = make_note(Path(folder), path, data, fingerprint)
        except UnusableNoteError:
            return _FileNow(place, (), fresh=False)
        return _FileNow(place, tuple(note.text.split("\n")), fresh=False)


def _stands_in(chunk: Chunk, lines: Sequence[str]) -> bool:
    """Say whether a chunk's text is what its file says at its lines."""
    there = "\n".join(lines[chunk.first_line - 1 : chunk.last_line])
    if chunk.first_line == chunk.last_line:
        return bool(there) and chunk.text in there
    return bool(chunk.text) and there.startswith(chunk.text)  # The last line may be shared.
