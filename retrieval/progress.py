"""How a long run reports what it has done, and is stopped."""

from __future__ import annotations

import math
import time

from retrieval.errors import IndexCancelled
from retrieval.types import Cancelled, Progress, Report

_LOCK_WAIT_SECONDS = 2.0
_REPORT_SECONDS = 0.05


def lock_wait(*, background: bool) -> float:
    """Give the seconds that a run waits for another process that is writing."""
    return math.inf if background else _LOCK_WAIT_SECONDS


class Reporter:
    """Passes on progress a few times a second, and stops the run when asked to."""

    def __init__(self, report: Report, cancelled: Cancelled) -> None:
        self._report = report
        self._cancelled = cancelled
        self._label = ""
        self._last = 0.0

    def check(self) -> None:
        """Raise ``IndexCancelled`` when the person wants to stop."""
        if self._cancelled():
            raise IndexCancelled(
                "Indexing was stopped.", "What was done is kept; index again to go on from there."
            )

    def wait(self) -> None:
        """Report that another process has to end its run first."""
        self.step("waiting for another index run", 0, 0)

    def step(self, label: str, done: int, total: int) -> None:
        """Report that ``done`` units are finished."""
        self.check()
        now = time.monotonic()
        if label != self._label or now - self._last >= _REPORT_SECONDS:
            self._label, self._last = label, now
            self._report(Progress(label, done, total))

    def finish(self, label: str, total: int) -> None:
        """Report that all units are finished."""
        self.check()
        if total:
            self._report(Progress(label, total, total))
