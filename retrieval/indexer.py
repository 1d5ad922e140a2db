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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from retrieval.bulk import batches, embed_in_batches
from retrieval.errors import FolderError, IndexCancelled
from retrieval.indexes import Indexes
from retrieval.notes import (
    FileStat,
    Scan,
    UnusableNoteError,
    make_note,
    read_bytes,
    require_folder,
    resolve_folder,
    scan_folder,
    stat_note,
)
from retrieval.store import StoredFile
from retrieval.types import (
    READING,
    Cancelled,
    Fingerprint,
    Forgotten,
    IndexReport,
    Progress,
    Report,
)
from retrieval.vector_table import Unembedded

_LOCK_WAIT_SECONDS = 2.0
_REPORT_SECONDS = 0.05
_UNSETTLED_NS = 20_000_000  # A file written this lately may change again within the same mtime.


class Indexer:
    """Indexes folders into one index."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes
        self._store = indexes.store
        self._one_at_a_time = threading.Lock()
        self._running: str | None = None

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
        reporter = _Reporter(report, cancelled)
        wait = math.inf if background else _LOCK_WAIT_SECONDS
        with self._one_at_a_time, self._indexes.writing(wait, reporter.wait):
            self._running = str(root)
            try:
                return self._run(root, reporter, embed, background, started)
            finally:
                self._running = None

    def refresh(self, folder: Path, paths: Sequence[str], most: int) -> None:
        """Bring a few files up to date, with vectors when the embedder is loaded.

        At most ``most`` texts are embedded. Raises ``IndexLockedError`` at once when another
        process is writing.
        """
        with self._indexes.writing(wait=0.0):
            known = self._store.files(str(folder))
            for path in paths:
                self._take(folder, path, known.get(path))
            if not self._indexes.vectors_ready:
                return
            name = self._indexes.embedder.name
            texts = self._store.vectors.unembedded(name, str(folder), paths)[:most]
            for batch in batches(texts):
                vectors = self._indexes.embedder.embed_passages([t.text for t in batch])
                self._indexes.put_vectors(batch, vectors)

    def forget(self, folder: str | Path) -> Forgotten | None:
        """Take a folder out of the index; see ``Library.forget``."""
        path = str(resolve_folder(folder))
        with self._one_at_a_time, self._indexes.writing(_LOCK_WAIT_SECONDS):
            if path not in self._store.folders():
                return None
            notes, chunks, _ = self._store.counts(path, self._indexes.embedder.name)
            self._indexes.forget_folder(path)
            return Forgotten(path, notes, chunks)

    def pending(self, folder: Path) -> int:
        """Count the files on disk that differ from the index: new, changed or gone.

        None do in a folder that cannot be listed: what it holds is not known.
        """
        try:
            scan = scan_folder(folder)
        except FolderError:
            return 0
        known = self._store.files(str(folder))
        changed = sum(_differs(folder, p, s, known.get(p)) for p, s in scan.files.items())
        return changed + len(_gone(scan, known))

    def _run(
        self, root: Path, reporter: _Reporter, embed: bool, background: bool, started: float
    ) -> IndexReport:
        folder = str(root)
        self._indexes.add_folder(folder)
        scan = scan_folder(root)
        known = self._store.files(folder)
        changed_stat = [p for p, s in scan.files.items() if not _same_stat(s, known.get(p))]
        counts = Counter(unchanged=len(scan.files) - len(changed_stat))
        for done, path in enumerate(changed_stat):
            reporter.step(READING, done, len(changed_stat))
            counts[self._take(root, path, known.get(path))] += 1
        gone = _gone(scan, known)
        for path in gone:
            reporter.check()
            self._indexes.remove(folder, path)
        for skip in scan.skipped:
            before = known.get(skip.path)
            if before is None or before.reason != skip.reason:
                nothing = Fingerprint(0, 0, "")
                self._indexes.put_skipped(folder, skip.path, nothing, skip.reason)
        reporter.finish(READING, len(changed_stat))
        if embed:
            self._embed(folder, reporter, background)
        if changed_stat or gone:
            self._indexes.prune()
        _, chunks, _ = self._store.counts(folder, self._indexes.embedder.name)
        skipped = self._store.skipped(folder)
        return IndexReport(
            added=counts["added"],
            changed=counts["changed"],
            removed=counts["removed"] + sum(not known[p].reason for p in gone),
            unchanged=counts["unchanged"] - _still_skipped(scan, known),
            skipped=skipped,
            chunks=chunks,
            seconds=time.monotonic() - started,
        )

    def _take(self, root: Path, path: str, before: StoredFile | None) -> str:
        """Read one file and store what it holds now; says which count it belongs to."""
        folder = str(root)
        try:
            data, fingerprint = read_bytes(root, path)
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

    def _embed(self, folder: str, reporter: _Reporter, background: bool) -> None:
        """Embed every text of the folder that has no vector."""
        name = self._indexes.embedder.name
        texts = self._store.vectors.unembedded(name, folder)
        if not texts:
            return
        reporter.step("embedding", 0, len(texts))
        self._indexes.embedder.load()
        self._indexes.vectors()
        self._embed_texts(texts, reporter, background)
        reporter.finish("embedding", len(texts))

    def _embed_texts(
        self, texts: Sequence[Unembedded], reporter: _Reporter, background: bool
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


class _Reporter:
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
        return read_bytes(folder, path)[1].sha256 != before.fingerprint.sha256
    except UnusableNoteError:
        return not before.reason


def _gone(scan: Scan, known: dict[str, StoredFile]) -> list[str]:
    """Give the paths that the index knows and the folder no longer has."""
    present = scan.files.keys() | {skip.path for skip in scan.skipped}
    unknown = tuple(f"{folder}/" for folder in scan.unlisted)
    return [p for p in known if p not in present and not p.startswith(unknown)]


def _still_skipped(scan: Scan, known: dict[str, StoredFile]) -> int:
    """Count the files that were skipped before and have not changed."""
    return sum(
        1
        for p, s in scan.files.items()
        if p in known and known[p].reason and _same_stat(s, known[p])
    )


def _settled(fingerprint: Fingerprint) -> Fingerprint:
    """Forget the time of a file so new that a second write could carry the same one.

    Such a file is read again by the next run, and recognised by its digest.
    """
    if time.time_ns() - fingerprint.mtime_ns > _UNSETTLED_NS:
        return fingerprint
    return replace(fingerprint, mtime_ns=-1)
