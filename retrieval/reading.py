"""One file at a time: read it, and have the index hold what it says now."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

from retrieval.files.scanning import FileStat, stat_note
from retrieval.indexes import Indexes
from retrieval.notes import UnusableNoteError, make_note, read_bytes
from retrieval.storage.rows import StoredFile
from retrieval.types import Fingerprint

_UNSETTLED_NS = 20_000_000  # A file written this lately may change again within the same mtime.
_LOCKS = 64  # Files share them by chance: few enough to keep, many enough to wait rarely.


class FileTaker:
    """Takes files into one index."""

    def __init__(self, indexes: Indexes, max_bytes: int) -> None:
        self._indexes = indexes
        self._max_bytes = max_bytes
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def take(self, root: Path, path: str, before: StoredFile | None) -> str:
        """Read one file and store what it holds now; says which count it belongs to.

        Of threads that take the same file, each reads it after the one before has stored it.
        """
        with self._locks[hash((root, path)) % _LOCKS]:
            return self._take(root, path, before)

    def _take(self, root: Path, path: str, before: StoredFile | None) -> str:
        folder = str(root)
        try:
            data, fingerprint = read_bytes(root, path, self._max_bytes)
        except UnusableNoteError as error:
            return self._unreadable(root, path, before, error)
        settled = _settled(fingerprint)
        if before is not None and before.fingerprint.sha256 == fingerprint.sha256:
            self._indexes.touch(folder, path, settled)
            return "skipped" if before.reason else "unchanged"
        try:
            note = make_note(root, path, data, fingerprint)
        except UnusableNoteError as error:
            return self._skip(folder, path, settled, str(error))
        self._indexes.put_note(note, settled)
        return "added" if before is None or before.reason else "changed"

    def _unreadable(
        self, root: Path, path: str, before: StoredFile | None, error: UnusableNoteError
    ) -> str:
        """Store why a file cannot be read, or forget it when it is gone."""
        folder = str(root)
        try:
            now = stat_note(root, path)
        except OSError:
            if before is not None:
                return "unchanged"  # What lies above it cannot be reached: it may well be there.
            now = FileStat(0, 0)
        if now is None:
            self._indexes.remove(folder, path)
            return "removed" if before is not None and not before.reason else "vanished"
        # Without its time the file is tried again by every run, until it can be read.
        fingerprint = Fingerprint(now.size, now.mtime_ns if error.lasting else -1, "")
        return self._skip(folder, path, fingerprint, str(error))

    def _skip(self, folder: str, path: str, fingerprint: Fingerprint, reason: str) -> str:
        self._indexes.put_skipped(folder, path, fingerprint, reason)
        return "skipped"


def _settled(fingerprint: Fingerprint) -> Fingerprint:
    """Forget the time of a file so new that a second write could carry the same one.

    Such a file is read again by the next run, and recognised by its digest.
    """
    if time.time_ns() - fingerprint.mtime_ns > _UNSETTLED_NS:
        return fingerprint
    return replace(fingerprint, mtime_ns=-1)
