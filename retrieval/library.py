"""The way into retrieval: one index of any number of folders, to fill and to search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType

from retrieval.errors import NoteError
from retrieval.files.folders import require_folder, resolve_folder
from retrieval.files.scanning import scan_folder
from retrieval.indexer import Indexer
from retrieval.indexes import EmbedderNamed, Indexes
from retrieval.lifecycle.current import Current, Opened
from retrieval.lifecycle.live import Live, OnChange
from retrieval.lifecycle.rebuild import Rebuild
from retrieval.notes import UnusableNoteError, read_note
from retrieval.progress import Reporter, lock_wait
from retrieval.search import Searcher
from retrieval.searching.scope import folder_notice
from retrieval.storage.collections import find_folder
from retrieval.types import (
    Cancelled,
    Chunk,
    Collection,
    Embedder,
    Forgotten,
    IndexOptions,
    IndexReport,
    IndexStatus,
    Note,
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
        embedder_named: EmbedderNamed | None = None,
    ) -> None:
        """Open an index, made when missing. Raises ``IndexDamagedError``.

        ``embedder_named`` finds the embedder that an older index was made with, which then
        answers until the index is rebuilt; without it keywords do.
        """
        self._options = options or IndexOptions()
        self._reranker = reranker
        self._current = Current(
            Path(directory), embedder, self._workers, embedder_named, self._options.vectors
        )
        self._rebuild = Rebuild(self._current)
        self._live = Live(self._current, self._options.max_bytes)

    def index(
        self,
        folder: str | Path,
        report: Report = ignore_progress,
        cancelled: Cancelled = never_cancelled,
        embed: bool = True,
        background: bool = False,
        name: str | None = None,
    ) -> IndexReport:
        """Bring the index up to date with a folder, and name it as a collection.

        Notes can be found by keyword as they are read; vectors follow, unless ``embed`` is false.
        ``background`` embeds at the lowest priority, and waits for as long as another process
        writes. Raises ``FolderError``, ``CollectionError``, ``IndexLockedError``,
        ``EmbedderError``, and ``IndexCancelled`` soon after ``cancelled`` answers true.
        """
        root = str(require_folder(folder))
        wait, waiting = lock_wait(background=background), Reporter(report, cancelled).wait
        with self._current.writing(wait, waiting) as opened:
            outdated = opened.indexes.outdated
            if name is not None:
                opened.indexes.store.collections.checked(root, name)
            if name is not None and not outdated:
                opened.indexes.add_folder(root, name)
            run = self._rebuild.run if outdated else opened.indexer.run
            try:
                done = run(folder, report, cancelled, embed=embed, background=background)
            finally:
                opened.searcher.forget_scans()
        if name is not None and outdated:
            with self._current.writing(wait, waiting) as opened:
                opened.indexes.add_folder(root, name)
        return done

    def watch(
        self,
        folder: str | Path,
        on_change: OnChange,
        cancelled: Cancelled = never_cancelled,
        others: bool = False,
    ) -> None:
        """Index a folder, then follow its changes into the index until cancelled.

        A file is found in both legs a second or so after it was saved. ``on_change`` gets what
        was done, and notices; nothing is said of changes that made no difference. Waits for a
        folder that is not there, and ends when it is taken out of the index. An index that must
        be rebuilt is kept up to date as it is: that is for ``index``. With ``others`` every other
        folder that is indexed now is followed as well.
        """
        watch = self._live.watch_all if others else self._live.watch
        watch(folder, on_change, cancelled)

    def forget(self, folder: str | Path) -> Forgotten | None:
        """Take a folder, or a collection by its name, out of the index; its files are left alone.

        The folder need not exist any more. Gives nothing when it was not indexed. Raises
        ``FolderError`` and ``IndexLockedError``.
        """
        if isinstance(folder, str):
            with self._current.using() as opened:
                folder, _ = find_folder(folder, opened.indexes.store.collections.names())
        forgotten = None
        while True:
            with self._current.writing(lock_wait(background=False), lambda: None) as opened:
                forgotten = opened.indexer.forget(folder) or forgotten
                opened.searcher.forget_scans()
            self._rebuild.forget(str(resolve_folder(folder)))
            if self._current.number == opened.number:
                return forgotten  # Otherwise another generation, which held it, has taken over.

    def search(self, query: Query) -> SearchResult:
        """Find the passages that answer a query, as their files read now.

        Raises ``IndexMissingError`` when nothing, or not the folder asked for, is indexed.
        """
        with self._current.using() as opened:
            result = opened.searcher.search(query)
            notice = self._rebuild.notice(opened)
            return replace(result, notices=(*result.notices, notice)) if notice else result

    def chunks(self, folder: str | Path, path: str) -> list[Chunk]:
        """Give the chunks of one note, by its path in an indexed folder, in their order."""
        with self._current.using() as opened:
            return opened.indexes.store.chunks_of(str(resolve_folder(folder)), path)

    def note(self, folder: str | Path, path: str) -> Note:
        """Give a note of a folder as its file reads now. Raises ``NoteError``."""
        try:
            return read_note(resolve_folder(folder), path, self._options.max_bytes)[0]
        except UnusableNoteError as error:
            raise NoteError(
                f"{path} cannot be shown: {error}.", "Open the file with the program it is for."
            ) from error

    def warm(self) -> None:
        """Load all that a search uses, so that the next one is quick; idempotent."""
        with self._current.using() as opened:
            opened.indexes.lexical()
            opened.indexes.embedder.load()
            opened.indexes.vectors()
            opened.indexes.embedder.embed_query("warm")
            if self._reranker is not None:
                self._reranker.load()

    def status(self, folder: str | Path | None = None) -> IndexStatus:
        """Say what the index holds, and how many files on disk differ from it.

        A folder that was never indexed has all its files pending and is not among ``folders``.
        """
        with self._current.using() as opened:
            known = opened.indexes.store.folders()
            if folder is None:
                return self._status(opened, known)
            path = resolve_folder(folder)
            if str(path) in known:
                return self._status(opened, (str(path),))
        return IndexStatus((), 0, 0, 0, len(scan_folder(path, self._options.max_bytes).files), ())

    @property
    def _indexes(self) -> Indexes:
        """The generation that answers now."""
        with self._current.using() as opened:
            return opened.indexes

    def close(self) -> None:
        """Let go of the index; it cannot be used afterwards."""
        self._current.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _status(self, opened: Opened, folders: tuple[str, ...]) -> IndexStatus:
        store, name = opened.indexes.store, opened.indexes.embedder.name
        counts = [store.counts(folder, name) for folder in folders]
        names = store.collections.names()
        return IndexStatus(
            folders=folders,
            notes=sum(notes for notes, _, _ in counts),
            chunks=sum(chunks for _, chunks, _ in counts),
            embedded=sum(embedded for _, _, embedded in counts),
            pending=max(
                self._rebuild.remaining(opened),
                sum(opened.indexer.pending(Path(folder)) for folder in folders),
            ),
            skipped=tuple(skip for folder in folders for skip in store.skipped(folder)),
            notices=tuple(
                filter(
                    None,
                    (*(folder_notice(store, f) for f in folders), self._rebuild.progress(opened)),
                )
            ),
            collections=tuple(
                Collection(names.get(folder, ""), folder, *of_folder)
                for folder, of_folder in zip(folders, counts, strict=True)
            ),
        )

    def _workers(self, indexes: Indexes) -> tuple[Indexer, Searcher]:
        """Make what fills and what searches a generation of the index."""
        indexer = Indexer(indexes, self._options.max_bytes)
        return indexer, Searcher(indexes, indexer, self._reranker, self._options)
