"""The way into retrieval: one index of any number of folders, to fill and to search."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from retrieval.indexer import Indexer
from retrieval.indexes import Indexes
from retrieval.notes import resolve_folder, scan_folder
from retrieval.scope import folder_notice
from retrieval.search import Searcher
from retrieval.types import (
    Cancelled,
    Embedder,
    Forgotten,
    IndexOptions,
    IndexReport,
    IndexStatus,
    Query,
    Report,
    Reranker,
    SearchResult,
    ignore_progress,
    never_cancelled,
)


class Library:
    """A user's index directory.

    Opening it opens SQLite alone; BM25 is read at the first search, Chroma and the embedder when
    vectors are first needed. Threads may share it: searches answer while a folder is indexed.
    """

    def __init__(
        self,
        directory: Path,
        embedder: Embedder,
        options: IndexOptions | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        """Open an index, made when missing. Raises ``IndexDamagedError``."""
        self._options = options or IndexOptions()
        self._reranker = reranker
        self._indexes = Indexes(Path(directory), embedder)
        self._indexer = Indexer(self._indexes)
        self._searcher = Searcher(self._indexes, self._indexer)

    def index(
        self,
        folder: str | Path,
        report: Report = ignore_progress,
        cancelled: Cancelled = never_cancelled,
        embed: bool = True,
        background: bool = False,
    ) -> IndexReport:
        """Bring the index up to date with a folder.

        Notes can be found by keyword as they are read; vectors follow, unless ``embed`` is false.
        ``background`` embeds at the lowest priority, and waits for as long as another process
        writes. Raises ``FolderError``, ``IndexLockedError``, ``EmbedderError``, and
        ``IndexCancelled`` soon after ``cancelled`` answers true.
        """
        try:
            return self._indexer.run(folder, report, cancelled, embed=embed, background=background)
        finally:
            self._searcher.forget_scans()

    def forget(self, folder: str | Path) -> Forgotten | None:
        """Take a folder out of the index; its files, if there are any, are left alone.

        The folder need not exist any more. Gives nothing when it was not indexed. Raises
        ``FolderError`` and ``IndexLockedError``.
        """
        try:
            return self._indexer.forget(folder)
        finally:
            self._searcher.forget_scans()

    def search(self, query: Query) -> SearchResult:
        """Find the passages that answer a query, as their files read now.

        Raises ``IndexMissingError`` when nothing, or not the folder asked for, is indexed.
        """
        return self._searcher.search(query)

    def warm(self) -> None:
        """Load both legs and the embedder, so that the next search is quick; idempotent."""
        self._indexes.lexical()
        self._indexes.embedder.load()
        self._indexes.vectors()
        self._indexes.embedder.embed_query("warm")

    def status(self, folder: str | Path | None = None) -> IndexStatus:
        """Say what the index holds, and how many files on disk differ from it.

        A folder that was never indexed has all its files pending and is not among ``folders``.
        """
        known = self._indexes.store.folders()
        if folder is None:
            return self._status(known)
        path = resolve_folder(folder)
        if str(path) in known:
            return self._status((str(path),))
        return IndexStatus((), 0, 0, 0, len(scan_folder(path).files), ())

    def close(self) -> None:
        """Let go of the index; it cannot be used afterwards."""
        self._indexes.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _status(self, folders: tuple[str, ...]) -> IndexStatus:
        store, name = self._indexes.store, self._indexes.embedder.name
        counts = [store.counts(folder, name) for folder in folders]
        return IndexStatus(
            folders=folders,
            notes=sum(notes for notes, _, _ in counts),
            chunks=sum(chunks for _, chunks, _ in counts),
            embedded=sum(embedded for _, _, embedded in counts),
            pending=sum(self._indexer.pending(Path(folder)) for folder in folders),
            skipped=tuple(skip for folder in folders for skip in store.skipped(folder)),
            notices=tuple(filter(None, map(folder_notice, folders))),
        )
