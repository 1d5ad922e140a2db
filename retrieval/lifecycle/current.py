"""The generation of an index that answers now, kept open and followed when another takes over."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import IndexLockedError
from retrieval.indexer import Indexer
from retrieval.indexes import EmbedderNamed, Indexes
from retrieval.lifecycle.generations import Generations, Use
from retrieval.locking import WriteLock
from retrieval.search import Searcher
from retrieval.types import Embedder

_AGAIN_SECONDS = 0.01


@dataclass(slots=True)
class Opened:
    """One generation with what works on it."""

    number: int
    """Which generation it is."""
    indexes: Indexes
    """Its store and legs."""
    indexer: Indexer
    """Fills it."""
    searcher: Searcher
    """Searches it."""
    use: Use
    """Keeps it from being deleted."""
    users: int = 0
    """Calls that are working on it now."""

    def close(self) -> None:
        """Let go of it."""
        self.indexes.close()
        self.use.release()


class Current:
    """Opens generations, and gives each call the one that is current. Threads may share it."""

    def __init__(
        self,
        directory: Path,
        embedder: Embedder,
        workers: Callable[[Indexes], tuple[Indexer, Searcher]],
        embedder_named: EmbedderNamed | None = None,
        server: str = "",
    ) -> None:
        self.generations = Generations(directory)
        self.lock = WriteLock(directory)
        self.embedder = embedder
        """What new generations are embedded with."""
        self._workers = workers
        self._embedder_named = embedder_named
        self._server = server
        self._mutex = threading.RLock()
        self._retired: list[Opened] = []
        self._opened = self._open_current()
        self._sweep()

    @property
    def number(self) -> int:
        """The generation that answers now."""
        with self._mutex:
            return self._opened.number

    @contextmanager
    def using(self) -> Iterator[Opened]:
        """Give the generation that answers now; it stays open during the block."""
        with self._mutex:
            self._follow()
            opened = self._opened
            opened.users += 1
        try:
            yield opened
        finally:
            with self._mutex:
                opened.users -= 1
                self._close_retired()

    @contextmanager
    def writing(self, wait: float, waiting: Callable[[], None]) -> Iterator[Opened]:
        """Give the generation that answers now, to be written to; see ``WriteLock.hold``.

        Another process may replace it for as long as the lock is not held.
        """
        with self.lock.hold(wait, waiting), self.using() as opened:
            yield opened

    def open(self, number: int) -> Opened | None:
        """Open a generation; nothing when it is being deleted. Raises ``IndexDamagedError``."""
        use = self.generations.hold(number)
        if not use.granted:
            return None
        try:
            indexes = Indexes(
                self.generations.directory(number),
                self.embedder,
                lock=self.lock,
                embedder_named=self._embedder_named,
                server=self._server,
            )
        except BaseException:
            use.release()
            raise
        return Opened(number, indexes, *self._workers(indexes), use)

    def switch(self, opened: Opened) -> None:
        """Make a generation current, here and in every process; the write lock must be held."""
        with self._mutex:
            self.generations.switch(opened.number)
            self._retired.append(self._opened)
            self._opened = opened

    def close(self) -> None:
        """Let go of everything."""
        with self._mutex:
            for opened in (*self._retired, self._opened):
                opened.close()
            self._retired.clear()

    def _follow(self) -> None:
        """Go over to another generation when another process made it current."""
        if self.generations.current() == self._opened.number:
            return
        opened = self._open_current()
        self._retired.append(self._opened)
        self._opened = opened
        self._close_retired()

    def _open_current(self) -> Opened:
        while True:
            number = self.generations.current()
            self.generations.require(number)
            opened = self.open(number)
            if opened is None:
                time.sleep(_AGAIN_SECONDS)  # It has just been replaced.
            elif self.generations.current() == number:
                return opened
            else:
                opened.close()

    def _close_retired(self) -> None:
        idle = [opened for opened in self._retired if not opened.users]
        if not idle:
            return
        self._retired = [opened for opened in self._retired if opened.users]
        for opened in idle:
            opened.close()
        self._sweep()

    def _sweep(self) -> None:
        """Delete the generations that nobody needs, unless another process is writing."""
        outdated = self._opened.indexes.outdated
        if not self.generations.leftovers(keep_next=outdated):
            return
        with contextlib.suppress(IndexLockedError), self.lock.hold(0.0):
            for number in self.generations.leftovers(keep_next=outdated):
                self.generations.delete(number)
