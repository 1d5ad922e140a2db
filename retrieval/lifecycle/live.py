"""Keeps an index up to date with a folder while it changes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from retrieval.errors import FolderError, IndexCancelled, RetrievalError
from retrieval.files.folders import resolve_folder
from retrieval.files.ignoring import IGNORE_FILES
from retrieval.files.scanning import is_note, scan_folder
from retrieval.lifecycle.current import Current, Opened
from retrieval.progress import Reporter
from retrieval.types import Cancelled, IndexReport, ignore_progress
from retrieval.watch import Changes, follow

OnChange = Callable[[IndexReport], None]
"""Receives what was done about changes; must be quick and must not raise."""

_NOTHING = IndexReport(0, 0, 0, 0, (), 0, 0.0)


class Live:
    """Follows the changes of folders into one index."""

    def __init__(self, current: Current, max_bytes: int) -> None:
        self._current = current
        self._max_bytes = max_bytes

    def watch(self, folder: str | Path, on_change: OnChange, cancelled: Cancelled) -> None:
        """Index a folder and then its changes, until cancelled; see ``Library.watch``."""
        root = resolve_folder(folder)
        told = ""
        known = failed = False
        for changes in follow(root, lambda: self._directories(root), _concerns, cancelled):
            report: IndexReport | None = _NOTHING
            if changes.notice:
                report = replace(_NOTHING, notices=(changes.notice,))
            if changes.paths or changes.unknown:
                try:
                    report = self._take(root, changes, cancelled, known, whole=failed)
                    known, failed, told = True, False, ""
                except IndexCancelled:
                    return
                except FolderError:
                    continue  # It went away just now; it is waited for.
                except RetrievalError as error:
                    failed = True  # The next change is reason to look at all.
                    if str(error) != told:
                        told = str(error)
                        report = replace(_NOTHING, notices=(told,))
            if report is None:
                return
            if report.added or report.changed or report.removed or report.notices:
                on_change(report)

    def watch_all(self, folder: str | Path, on_change: OnChange, cancelled: Cancelled) -> None:
        """Watch a folder, and meanwhile every other folder that is indexed now."""
        with self._current.using() as opened:
            others = set(opened.indexes.store.folders()) - {str(resolve_folder(folder))}
        ended = threading.Event()

        def stop() -> bool:
            return ended.is_set() or cancelled()

        threads = [
            threading.Thread(target=self.watch, args=(other, on_change, stop), name="watching")
            for other in sorted(others)
        ]
        for thread in threads:
            thread.daemon = True  # A run that takes long must not keep the process.
            thread.start()
        try:
            self.watch(folder, on_change, cancelled)
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _directories(self, root: Path) -> tuple[str, ...]:
        return scan_folder(root, self._max_bytes).directories

    def _take(
        self, root: Path, changes: Changes, cancelled: Cancelled, known: bool, *, whole: bool
    ) -> IndexReport | None:
        """Index what changed; gives nothing when the folder was taken out of the index."""
        waiting = Reporter(ignore_progress, cancelled).wait
        with self._current.writing(math.inf, waiting) as opened:
            if known and str(root) not in opened.indexes.store.folders():
                return None
            try:
                return self._index(opened, root, changes, cancelled, whole=whole)
            finally:
                opened.searcher.forget_scans()

    def _index(
        self, opened: Opened, root: Path, changes: Changes, cancelled: Cancelled, *, whole: bool
    ) -> IndexReport:
        """Index the files that are named, or look at all when they do not tell everything."""
        whole = whole or changes.unknown or any(map(_is_ignore_file, changes.paths))
        if not whole:
            report = opened.indexer.update(root, changes.paths, ignore_progress, cancelled)
            if report is not None:
                return report
        return opened.indexer.run(
            root,
            ignore_progress,
            cancelled,
            # Without the embedder of what is there, vectors wait for the rebuild.
            embed=not opened.indexes.foreign,
            background=whole,
        )


def _concerns(path: str) -> bool:
    """Say whether a file can change what is indexed."""
    if _is_ignore_file(path):
        return True
    return is_note(path) and not PurePosixPath(path).name.startswith(".")


def _is_ignore_file(path: str) -> bool:
    return PurePosixPath(path).name in IGNORE_FILES
