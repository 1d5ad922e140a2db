"""Follows the changes below a folder, for as long as somebody wants to know of them.

Each directory that a scan lists is watched by itself: what is ignored costs no watch, and a link
leads out of the folder no more than a scan does. What the events may have missed is said to be
unknown, which calls for a scan: at the start, when directories come or go, when the folder is
back after it was gone, and a while after the last change.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.errors import FolderError
from retrieval.files.folders import folder_problem
from retrieval.types import Cancelled

if TYPE_CHECKING:
    from watchfiles import Change

_STEP_MS = 150
"""Changes this close together are told together."""
_DEBOUNCE_MS = 2000
"""Longest time that changes are kept back while more of them come."""
_TICK_MS = 500
"""How often the folder itself is looked at: nothing tells when it is moved or unmounted."""
_POLL_MS = 3000
"""How often files are looked at where the system tells of no changes."""
_GONE_SECONDS = 1.0
_SETTLE_SECONDS = 30.0

POLLING = (
    "The system cannot watch {folder} ({why}), so Alcove looks for changes every "
    f"{_POLL_MS // 1000} seconds."
)
"""Notice for a folder that is looked at from time to time."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened below a folder."""

    paths: frozenset[str] = frozenset()
    """Files that came, changed or went, relative to the folder; what was a directory, too."""
    unknown: bool = False
    """Whether something else may have happened as well."""
    notice: str = ""
    """What the person should know of how the folder is followed."""


def follow(
    folder: Path,
    directories: Callable[[], Sequence[str]],
    concerns: Callable[[str], bool],
    cancelled: Cancelled,
) -> Iterator[Changes]:
    """Give the changes below a folder until ``cancelled``; the first time, anything may have.

    ``directories`` lists those to watch, relative to the folder, which is ``""``; it may raise
    ``FolderError``. ``concerns`` says which files matter, by relative path. Waits for a folder
    that is not there. Where the system's watches run out, files are looked at every few seconds.
    """
    polling = ""
    before = _identity(folder)
    while not cancelled():
        now = _identity(folder)
        if now is None or (now != before and folder_problem(folder)):
            _rest(cancelled)  # An empty folder in its place is a mount point without its drive.
            continue
        before = now
        try:
            places = directories()
            watching = _Watching(folder, places, concerns, cancelled, polling=bool(polling))
            yield from watching.changes()
        except (FolderError, FileNotFoundError, NotADirectoryError, PermissionError):
            _rest(cancelled)
        except (OSError, RuntimeError) as error:
            if polling:
                _rest(cancelled)
                continue
            polling = str(error).partition(" about [")[0].rstrip(".")
            yield Changes(notice=POLLING.format(folder=folder, why=polling))


class _Watching:
    """Watches certain directories, until others are to be watched."""

    def __init__(
        self,
        folder: Path,
        places: Sequence[str],
        concerns: Callable[[str], bool],
        cancelled: Cancelled,
        *,
        polling: bool,
    ) -> None:
        self._folder = folder
        self._places = frozenset(places)
        self._concerns = concerns
        self._cancelled = cancelled
        self._polling = polling
        self._identity = _identity(folder)

    def is_set(self) -> bool:
        """Say whether to stop; the library asks."""
        return self._cancelled()

    def changes(self) -> Iterator[Changes]:
        """Give changes until the directories are others, or the folder is another."""
        from watchfiles import watch

        logging.getLogger("watchfiles").setLevel(logging.WARNING)  # It logs every change.
        batches = watch(
            *(str(Path(self._folder, place)) for place in sorted(self._places)),
            watch_filter=None,
            step=_STEP_MS,
            debounce=_DEBOUNCE_MS,
            rust_timeout=_TICK_MS,
            yield_on_timeout=True,
            stop_event=self,
            force_polling=self._polling or None,
            poll_delay_ms=_POLL_MS,
            recursive=False,
            ignore_permission_denied=False,  # It would also hide that the watches ran out.
        )
        # The first time everything is to be looked at, as the watch begins only now.
        look_again: float | None = 0.0
        try:
            for batch in batches:
                if self._is_another() or any(self._is_structure(*change) for change in batch):
                    return
                paths = frozenset(filter(self._concerns, (self._relative(p) for _, p in batch)))
                now = time.monotonic()
                unknown = look_again is not None and now >= look_again
                if paths or unknown:
                    yield Changes(paths, unknown)
                    # Polling compares whole seconds: a second save within one is not told.
                    again = bool(paths) or self._polling
                    look_again = time.monotonic() + _SETTLE_SECONDS if again else None
        finally:
            batches.close()

    def _relative(self, path: str) -> str:
        relative = os.path.relpath(path, self._folder)
        return "" if relative == os.curdir else Path(relative).as_posix()

    def _is_structure(self, change: Change, path: str) -> bool:
        """Say whether a directory came or went, so that others are to be watched."""
        if change.name == "modified":
            return False
        return self._relative(path) in self._places or Path(path).is_dir()

    def _is_another(self) -> bool:
        """Say whether the folder is not the one any more that is being watched."""
        return _identity(self._folder) != self._identity


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        info = folder.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _rest(cancelled: Cancelled) -> None:
    """Wait a little before another attempt."""
    until = time.monotonic() + _GONE_SECONDS
    while not cancelled() and time.monotonic() < until:
        time.sleep(_STEP_MS / 1000)
