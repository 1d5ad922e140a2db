"""Whose turn it is to write: one request changes the index, the others watch it do so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from retrieval.errors import IndexCancelled
from retrieval.types import Cancelled, Progress, Report, ignore_progress

WAIT_SECONDS = 0.1
"""Pause between looks at whether a request that waits was cancelled."""


class Turns:
    """Lets requests that write run one after the other, and those that wait be cancelled."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._folder: Path | None = None
        self._progress: Progress | None = None

    @contextmanager
    def take(
        self, folder: Path, report: Report = ignore_progress, cancelled: Cancelled = lambda: False
    ) -> Iterator[Report]:
        """Wait for the turn and hold it for the block, which gets the way to report progress.

        While another request works on the folder its progress is told as this one's own. Raises
        ``IndexCancelled`` when this one is cancelled before its turn.
        """
        told: Progress | None = None
        while (running := self._take_or_look(folder)) is not None:
            if cancelled():
                raise IndexCancelled("Indexing was stopped.", "Run it again to finish.")
            if running != told:
                report(running)
                told = running
        try:
            yield self._remember(report)
        finally:
            with self._changed:
                self._folder = self._progress = None
                self._changed.notify_all()

    def _take_or_look(self, folder: Path) -> Progress | None:
        """Take the turn when it is free; else wait a moment and tell how far its holder is."""
        with self._changed:
            if self._folder is not None:
                self._changed.wait(WAIT_SECONDS)
            if self._folder is None:
                self._folder = folder
                return None
            progress = self._progress or Progress("waiting", 0, 0)
            if self._folder == folder:
                return progress
            return replace(progress, label=f"waiting for {self._folder.name}: {progress.label}")

    def _remember(self, report: Report) -> Report:
        def told(progress: Progress) -> None:
            with self._changed:
                self._progress = progress
                self._changed.notify_all()
            report(progress)

        return told
