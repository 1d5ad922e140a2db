"""The index: SQLite, BM25, Chroma and the embedder in a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from app.errors import SearchStopped
from app.services.host import ServiceClient, describe_exit
from app.services.turns import Turns
from retrieval.types import (
    Cancelled,
    Forgotten,
    IndexReport,
    IndexStatus,
    Note,
    Progress,
    Query,
    Report,
    SearchResult,
    ignore_progress,
)

if TYPE_CHECKING:
    from app.services.child import Job, Method


class NoteIndex(Protocol):
    """What the index service needs of retrieval."""

    def index(
        self,
        folder: Path,
        report: Report = ...,
        cancelled: Cancelled = ...,
        embed: bool = ...,
        background: bool = ...,
        name: str | None = ...,
    ) -> IndexReport:
        """Bring the index of a folder up to date."""

    def forget(self, folder: Path) -> Forgotten | None:
        """Take a folder out of the index."""

    def search(self, query: Query) -> SearchResult:
        """Find passages."""

    def status(self, folder: Path | None = None) -> IndexStatus:
        """Tell what is in the index."""

    def watch(
        self,
        folder: Path,
        on_change: Callable[[IndexReport], None],
        cancelled: Cancelled = ...,
        others: bool = ...,
    ) -> None:
        """Follow the changes of a folder into the index."""

    def note(self, folder: Path, path: str) -> Note:
        """Give a note as its file reads now."""

    def warm(self) -> None:
        """Load what the vector leg needs."""

    def close(self) -> None:
        """Close the files."""


class IndexService:
    """Runs in the child: searches answer while a folder is being indexed."""

    lanes: Mapping[str, str] = {
        "search": "search",
        "warm": "warm",
        "status": "status",
        "watch": "watch",
        "note": "note",
    }

    def __init__(self, build: Callable[[], NoteIndex]) -> None:
        self._index_of_notes = build()
        self._turns = Turns()
        self.methods: Mapping[str, Method] = {
            "index": self._index,
            "forget": self._forget,
            "search": self._search,
            "status": self._status,
            "warm": self._warm,
            "watch": self._watch,
            "note": self._note,
        }

    def close(self) -> None:
        """Close the index."""
        self._index_of_notes.close()

    def _index(self, job: Job, folder: Path, name: str | None = None) -> IndexReport:
        with self._turns.take(folder, job.emit, job.cancelled) as report:
            return self._index_of_notes.index(
                folder, report, job.cancelled, background=True, name=name
            )

    def _forget(self, job: Job, folder: Path) -> Forgotten | None:
        with self._turns.take(folder, job.emit, job.cancelled):
            return self._index_of_notes.forget(folder)

    def _search(self, _: Job, query: Query) -> SearchResult:
        return self._index_of_notes.search(query)

    def _status(self, _: Job, folder: Path | None) -> IndexStatus:
        return self._index_of_notes.status(folder)

    def _note(self, _: Job, folder: Path, path: str) -> Note:
        return self._index_of_notes.note(folder, path)

    def _warm(self, _: Job) -> None:
        self._index_of_notes.warm()

    def _watch(self, job: Job, folder: Path) -> None:
        self._index_of_notes.watch(folder, job.emit, job.cancelled, others=True)


class IndexClient(ServiceClient):
    """The index, as the app sees it: a ``Searcher`` that lives in the child."""

    def __init__(self, logs: Path) -> None:
        super().__init__("index", logs, _explain_death)

    def index(self, folder: Path, report: Report = ignore_progress) -> IndexReport:
        """Bring the index of a folder up to date. Raises ``RetrievalError`` or ``ServiceDied``."""
        with self._calling("index", folder) as pending:
            value = pending.result(
                lambda event: report(event) if isinstance(event, Progress) else None
            )
        assert isinstance(value, IndexReport)
        return value

    def cancel_indexing(self) -> None:
        """Stop the running ``index`` soon; what it did is kept. Thread-safe."""
        for pending in self._pending("index"):
            pending.cancel()

    def watch(self, folder: Path, changed: Callable[[IndexReport], None]) -> None:
        """Follow the changes of a folder, and of every other that is indexed, into the index.

        Tells of each run that changed something, until ``cancel_watching``, until the folder is
        forgotten, or until the process ends: that raises ``ServiceDied``. Thread-safe.
        """
        with self._calling("watch", folder) as pending:
            pending.result(lambda event: changed(event) if isinstance(event, IndexReport) else None)

    def cancel_watching(self) -> None:
        """Have ``watch`` return soon. Thread-safe."""
        for pending in self._pending("watch"):
            pending.cancel()

    def search(self, query: Query) -> SearchResult:
        """Find passages. Raises ``RetrievalError`` or ``AppError``."""
        with self._calling("search", query) as pending:
            value = pending.result()
        assert isinstance(value, SearchResult)
        return value

    def cancel_search(self) -> None:
        """Have the running ``search`` raise ``SearchStopped`` at once. Thread-safe."""
        for pending in self._pending("search"):
            pending.abandon(SearchStopped("The search was stopped.", "Ask again."))

    def status(self, folder: Path | None = None) -> IndexStatus:
        """Tell what is in the index."""
        value = self._host.call("status", folder).result()
        assert isinstance(value, IndexStatus)
        return value

    def note(self, folder: Path, path: str) -> Note:
        """Give a note as its file reads now. Raises ``NoteError`` or ``ServiceDied``."""
        value = self._host.call("note", folder, path).result()
        assert isinstance(value, Note)
        return value

    def warm(self) -> None:
        """Load what the vector leg needs; takes seconds."""
        self._host.call("warm").result()


def _explain_death(code: int) -> tuple[str, str]:
    return (
        f"The index process {describe_exit(code)}. Your notes and what was indexed are safe.",
        "It starts again with the next search; index.log in the log folder has the details.",
    )
