"""Brings an index up to date with a folder: first every note for the keyword leg, then vectors.

Files are told apart by size and time, then by digest; what is unchanged costs one stat, and
loads neither torch nor Chroma. Stopping at any point keeps what was done.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from retrieval.bulk import batches, embed_in_batches
from retrieval.errors import FolderError
from retrieval.files.folders import EMPTY, folder_problem, require_folder, resolve_folder
from retrieval.files.scanning import MAX_BYTES, FileStat, Scan, scan_folder
from retrieval.indexes import Indexes
from retrieval.notes import UnusableNoteError, read_bytes
from retrieval.progress import Reporter, lock_wait
from retrieval.reading import FileTaker
from retrieval.storage.rows import StoredFile
from retrieval.storage.vector_table import Unembedded
from retrieval.types import (
    READING,
    Cancelled,
    Fingerprint,
    Forgotten,
    IndexReport,
    Report,
)

_WAIT_SECONDS = 0.05
_MOST_FILES = 200
"""Files that an update takes one by one; for more of them a scan is no slower."""


class Indexer:
    """Indexes folders into one index."""

    def __init__(self, indexes: Indexes, max_bytes: int = MAX_BYTES) -> None:
        self._indexes = indexes
        self._max_bytes = max_bytes
        self._store = indexes.store
        self._files = FileTaker(indexes, max_bytes)
        self._one_at_a_time = threading.Lock()
        self._running: str | None = None

    @property
    def max_bytes(self) -> int:
        """Size of the largest file that is read."""
        return self._max_bytes

    @property
    def running(self) -> str | None:
        """The folder that is being indexed by this process now."""
        return self._running

    def run(
        self,
        folder: str | Path,
        report: Report,
        cancelled: Cancelled,
        *,
        embed: bool,
        background: bool,
    ) -> IndexReport:
        """Index a folder; see ``Library.index``."""
        started = time.monotonic()
        root = require_folder(folder)
        reporter = Reporter(report, cancelled)
        wait = lock_wait(background=background)
        with self.alone(reporter.wait), self._indexes.writing(wait, reporter.wait):
            self._running = str(root)
            try:
                return self._run(root, reporter, embed, background, started)
            finally:
                self._running = None

    @contextmanager
    def alone(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Keep runs and forgetting in this process out during the block.

        ``waiting`` is called while one of them is under way, and may raise to stop.
        """
        while not self._one_at_a_time.acquire(timeout=_WAIT_SECONDS):
            waiting()
        try:
            yield
        finally:
            self._one_at_a_time.release()

    def refresh(self, folder: Path, paths: Sequence[str], most: int) -> None:
        """Bring a few files up to date, with vectors when the embedder is loaded.

        At most ``most`` texts are embedded. Raises ``IndexLockedError`` at once when another
        process is writing.
        """
        with self._indexes.writing(wait=0.0):
            known = self._store.files(str(folder))
            for path in paths:
                self._files.take(folder, path, known.get(path))
            if not self._indexes.vectors_ready:
                return
            name = self._indexes.embedder.name
            texts = self._store.vectors.unembedded(name, str(folder), paths)[:most]
            for batch in batches(texts):
                vectors = self._indexes.embedder.embed_passages([t.text for t in batch])
                self._indexes.put_vectors(batch, vectors)

    def update(
        self, root: Path, paths: Collection[str], report: Report, cancelled: Cancelled
    ) -> IndexReport | None:
        """Bring a few files up to date, with vectors, without a look at the others.

        Gives nothing when only a run can tell what is to be done: a file has come that was not
        known. Vectors that nobody needs any more are left to the next run. Waits for as long as
        another process writes.
        """
        started = time.monotonic()
        reporter = Reporter(report, cancelled)
        folder = str(root)
        with self._indexes.writing(math.inf, reporter.wait):
            # Of a folder that went away it is not known what is gone.
            cannot = folder not in self._store.folders() or folder_problem(root)
            if cannot or len(paths) > _MOST_FILES:
                return None
            known = {path: self._store.file(folder, path) for path in sorted(paths)}
            if any(file is None and Path(root, path).exists() for path, file in known.items()):
                return None
            counts = Counter(
                self._files.take(root, path, file) for path, file in known.items() if file
            )
            if not self._indexes.foreign:  # Else vectors wait for the rebuild.
                self._embed(folder, reporter, background=False, paths=list(known))
            return self._report(folder, counts, started)

    def forget(self, folder: str | Path) -> Forgotten | None:
        """Take a folder out of the index; see ``Library.forget``."""
        path = str(resolve_folder(folder))
        with self._one_at_a_time, self._indexes.writing(lock_wait(background=False)):
            if path not in self._store.folders():
                return None
            notes, chunks, _ = self._store.counts(path, self._indexes.embedder.name)
            self._indexes.forget_folder(path)
            return Forgotten(path, notes, chunks)

    def pending(self, folder: Path) -> int:
        """Count the files on disk that differ from the index: new, changed or gone.

        None do in a folder that cannot be listed, or is empty: what it holds is not known.
        """
        if folder_problem(folder):
            return 0
        try:
            scan = scan_folder(folder, self._max_bytes)
        except FolderError:
            return 0
        known = self._store.files(str(folder))
        changed = sum(_differs(folder, p, s, known.get(p)) for p, s in scan.files.items())
        return changed + len(_gone(scan, known))

    def _run(
        self, root: Path, reporter: Reporter, embed: bool, background: bool, started: float
    ) -> IndexReport:
        folder = str(root)
        self._indexes.add_folder(folder)
        problem = folder_problem(root)
        scan = scan_folder(root, self._max_bytes)
        known = self._store.files(folder)
        changed_stat = [p for p, s in scan.files.items() if not _same_stat(s, known.get(p))]
        counts = Counter(unchanged=len(scan.files) - len(changed_stat))
        # A drive may have come or gone during the scan.
        unplugged = EMPTY in {problem, folder_problem(root)}
        gone = [] if unplugged else _gone(scan, known)
        with self._indexes.grouped():
            for done, path in enumerate(changed_stat):
                reporter.step(READING, done, len(changed_stat))
                counts[self._files.take(root, path, known.get(path))] += 1
            for path in gone:
                reporter.check()
                if self._store.file(folder, path) == known[path]:  # It may have come back just now.
                    self._indexes.remove(folder, path)
            for skip in scan.skipped:
                before = known.get(skip.path)
                if before is None or before.reason != skip.reason:
                    nothing = Fingerprint(0, 0, "")
                    self._indexes.put_skipped(folder, skip.path, nothing, skip.reason)
        reporter.finish(READING, len(changed_stat))
        if embed:
            self._embed(folder, reporter, background)
        self._indexes.prune()  # Even when nothing changed: what did may have ended in a kill.
        counts["removed"] += sum(not known[p].reason for p in gone)
        counts["unchanged"] -= _still_skipped(scan, known)
        return self._report(folder, counts, started, _notice(folder, known, gone, unplugged))

    def _report(
        self, folder: str, counts: Counter[str], started: float, notice: str = ""
    ) -> IndexReport:
        """Say what a run did, and what the index holds of the folder now."""
        return IndexReport(
            added=counts["added"],
            changed=counts["changed"],
            removed=counts["removed"],
            unchanged=counts["unchanged"],
            skipped=self._store.skipped(folder),
            chunks=self._store.chunk_count(folder),
            seconds=time.monotonic() - started,
            notices=tuple(filter(None, (notice, self._indexes.vectors_problem))),
        )

    def _embed(
        self, folder: str, reporter: Reporter, background: bool, paths: Sequence[str] = ()
    ) -> None:
        """Embed every text of the folder, or of some of its files, that has no vector."""
        name = self._indexes.embedder.name
        missing = self._store.vectors.unembedded(name, folder, paths)
        texts = self._indexes.take_shared(missing)
        if not texts:
            return
        reporter.step("embedding", 0, len(texts))
        self._indexes.embedder.load()
        self._indexes.vectors()
        self._embed_texts(texts, reporter, background)
        reporter.finish("embedding", len(texts))

    def _embed_texts(
        self, texts: Sequence[Unembedded], reporter: Reporter, background: bool
    ) -> None:
        done = 0
        embedded = embed_in_batches(
            self._indexes.embedder, texts, reporter.check, background=background
        )
        with contextlib.closing(embedded):
            for batch, vectors in embedded:
                self._indexes.put_vectors(batch, vectors)
                done += len(batch)
                reporter.step("embedding", done, len(texts))


def _same_stat(now: FileStat, before: StoredFile | None) -> bool:
    if before is None:
        return False
    stored = before.fingerprint
    return (stored.size, stored.mtime_ns) == (now.size, now.mtime_ns)


def _differs(folder: Path, path: str, now: FileStat, before: StoredFile | None) -> bool:
    """Say whether a file differs from the index, reading it only when its stat alone changed."""
    if before is None or before.fingerprint.size != now.size:
        return True
    if _same_stat(now, before):
        return False
    try:
        _, read = read_bytes(folder, path, max(now.size, MAX_BYTES))
        return read.sha256 != before.fingerprint.sha256
    except UnusableNoteError:
        return not before.reason


def _gone(scan: Scan, known: dict[str, StoredFile]) -> list[str]:
    """Give the paths that the index knows and the folder no longer has."""
    present = scan.files.keys() | {skip.path for skip in scan.skipped}
    unknown = tuple(f"{folder}/" for folder in scan.unlisted)
    return [p for p in known if p not in present and not p.startswith(unknown)]


def _notice(
    folder: str, known: dict[str, StoredFile], gone: Collection[str], unplugged: bool
) -> str:
    """Say what became of the notes of a folder that has lost all it had; empty when it has not."""
    notes = [path for path, file in known.items() if not file.reason]
    if notes and unplugged:
        return (
            f"The folder {folder} {EMPTY}; what the index holds of it is kept. "
            f"If it is gone for good: alcove forget {folder}"
        )
    if notes and set(notes) <= set(gone):
        return f"None of what {folder} held before is there any more; the index has forgotten it."
    return ""


def _still_skipped(scan: Scan, known: dict[str, StoredFile]) -> int:
    """Count the files that were skipped before and have not changed."""
    return sum(
        1
        for p, s in scan.files.items()
        if p in known and known[p].reason and _same_stat(s, known[p])
    )
