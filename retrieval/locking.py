"""One writer per index: a lock between processes that the threads of one process share."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from retrieval.errors import IndexLockedError

_POLL_SECONDS = 0.05


class WriteLock:
    """Keeps other processes from writing to an index; a kill frees it."""

    def __init__(self, directory: Path) -> None:
        self._file = FileLock(directory / "write.lock", thread_local=False)
        self._holder = directory / "write.pid"
        self._mutex = threading.Lock()
        self._holders = 0

    @property
    def held(self) -> bool:
        """Whether this process holds it."""
        return self._holders > 0

    def other_holder(self) -> int | None:
        """Give the id of the other process that holds it; None when none is known to."""
        holder = None if self.held else self._read_holder()
        if holder is None or not self._acquire():
            return holder
        self._release()  # Its holder was killed before it could say that it is done.
        return None

    @contextmanager
    def hold(self, wait: float, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold it for the block, waiting at most ``wait`` seconds.

        ``waiting`` is called many times a second meanwhile, and may raise to stop. Raises
        ``IndexLockedError`` when another process has it.
        """
        deadline = time.monotonic() + wait
        while not self._acquire():
            waiting()
            if time.monotonic() >= deadline:
                holder = self._read_holder()
                raise IndexLockedError(
                    "Another process is writing to this index"
                    + (f" (process {holder})." if holder is not None else "."),
                    "Wait until it is done, or end it, then try again.",
                )
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            self._release()

    def _acquire(self) -> bool:
        with self._mutex:
            if not self._holders:
                try:
                    self._file.acquire(timeout=0)
                except Timeout:
                    return False
                with contextlib.suppress(OSError):
                    self._holder.write_text(str(os.getpid()))
            self._holders += 1
            return True

    def _release(self) -> None:
        with self._mutex:
            self._holders -= 1
            if not self._holders:
                with contextlib.suppress(OSError):
                    self._holder.unlink()
                self._file.release()

    def _read_holder(self) -> int | None:
        try:
            return int(self._holder.read_text())
        except (OSError, ValueError):
            return None
