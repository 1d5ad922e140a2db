"""Building an index anew beside the old one, when the embedder or the chunking has changed.

The old generation answers meanwhile, with its own embedder where that can be had. The new one
starts with every vector that the same embedder made, is filled folder by folder like any index,
goes on where it was stopped, and takes over at once when it holds all the old one does.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from retrieval.errors import FolderError, IndexDamagedError, IndexLockedError, RetrievalError
from retrieval.files.folders import folder_problem, require_folder
from retrieval.lifecycle.current import Current, Opened
from retrieval.progress import lock_wait
from retrieval.store import Store
from retrieval.types import Cancelled, Fingerprint, IndexReport, Report


class Rebuild:
    """Replaces the generation of an index that was made by other rules."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._one_at_a_time = threading.Lock()
        self._building: Opened | None = None

    def run(
        self,
        folder: str | Path,
        report: Report,
        cancelled: Cancelled,
        *,
        embed: bool,
        background: bool,
    ) -> IndexReport:
        """Build the next generation, beginning with a folder, and have it take over.

        Gives what was done for the folder. Raises what ``Library.index`` raises; what was built
        is kept then. The write lock must be held.
        """
        root = require_folder(folder)
        with self._one_at_a_time, self._current.using() as old:
            if not old.indexes.outdated:  # Another thread has just done it.
                return old.indexer.run(root, report, cancelled, embed=embed, background=background)
            build = _Build(old, self._open_next(old), report, cancelled, embed, background)
            self._building = build.new
            try:
                result = build.fill(root)
                if build.take_over(root, self._current):
                    self._building = None
                return result
            finally:
                if self._building is not None:
                    self._building = None
                    build.new.close()

    def forget(self, folder: str) -> None:
        """Take a folder out of what was built so far; a running build sees to it itself."""
        with self._current.using() as old:
            if self._building is not None or not self._half_built(old).exists():
                return
            with self._current.lock.hold(lock_wait(background=False)):
                new = self._current.open(old.number + 1)
                if new is not None:
                    new.indexes.keeps_vectors = True
                    new.indexes.forget_folder(folder)
                    new.close()

    def notice(self, old: Opened) -> str:
        """Say that an index is to be built anew, and whether that goes on; empty when not."""
        if not old.indexes.outdated:
            return ""
        if self._goes_on():
            return "The index is being rebuilt; the old one answers until the new one is ready."
        return (
            "The embedder, or how notes are read, has changed since the index was made; "
            "it answers as it is until you rebuild it: alcove index FOLDER"
        )

    def remaining(self, old: Opened) -> int:
        """Count the notes that are still to be brought over, at least one; 0 when none is due."""
        if not old.indexes.outdated:
            return 0
        return max(1, self._total(old) - self._done(old))

    def progress(self, old: Opened) -> str:
        """Say how far a rebuild is: ``rebuilding: 340 of 1,873 notes``; empty when none is due."""
        if not old.indexes.outdated:
            return ""
        what = "rebuilding" if self._goes_on() else "to be rebuilt, done so far"
        count = f"{self._done(old):,} of {self._total(old):,} notes"
        return f"{what}: {count}. {self.notice(old)}"

    def _goes_on(self) -> bool:
        return self._building is not None or self._current.lock.other_holder() is not None

    def _total(self, old: Opened) -> int:
        store = old.indexes.store
        return sum(len(store.notes(folder)) for folder in store.folders())

    def _done(self, old: Opened) -> int:
        """Count the notes that the next generation holds with all their vectors."""
        name, building = self._current.embedder.name, self._building
        path = self._half_built(old)
        try:
            if building is not None:
                return building.indexes.store.vectors.finished(name)
            if not path.exists():
                return 0
            with contextlib.closing(Store(path)) as store:
                return store.vectors.finished(name)
        except RetrievalError:
            return 0  # It has just become current, or is damaged, which a rebuild will see to.

    def _half_built(self, old: Opened) -> Path:
        return self._current.generations.directory(old.number + 1) / "index.sqlite3"

    def _open_next(self, old: Opened) -> Opened:
        """Open the next generation to go on with it; one made by yet other rules is deleted."""
        number = old.number + 1
        try:
            new = self._current.open(number)
        except IndexDamagedError:
            new = None
        if new is None or new.indexes.outdated:
            if new is not None:
                new.close()
            self._current.generations.delete(number)
            new = self._current.open(number)
        if new is None or new.indexes.outdated:
            raise IndexLockedError(
                "A half-built index is in use by another process.",
                "Wait until it is done, or end it, then try again.",
            )
        return new


class _Build:
    """One run of a rebuild."""

    def __init__(
        self,
        old: Opened,
        new: Opened,
        report: Report,
        cancelled: Cancelled,
        embed: bool,
        background: bool,
    ) -> None:
        self.old = old
        self.new = new
        self._report = report
        self._cancelled = cancelled
        self._embed = embed
        self._background = background

    def fill(self, root: Path) -> IndexReport:
        """Bring every folder over; gives what was done for one of them."""
        old, new = self.old.indexes.store, self.new.indexes.store
        self.new.indexes.keeps_vectors = True
        new.vectors.copy(old.vectors, self.new.indexes.embedder.name)
        if str(root) not in old.folders():
            # Until the new generation is ready this folder can be found in the old one.
            self._index(self.old, root, embed=False)
        if folder_problem(root):
            self._carry(str(root))
        result = self._index(self.new, root, embed=self._embed)
        done = {str(root)}
        while missing := [folder for folder in old.folders() if folder not in done]:
            done.add(missing[0])
            self._bring_over(Path(missing[0]))
        for folder in old.folders():  # What changed since it was read went into the old one.
            self._bring_over(Path(folder))
        return result

    def take_over(self, root: Path, current: Current) -> bool:
        """Make the new generation current when it lacks nothing; says whether it does."""
        old, new = self.old.indexes, self.new.indexes
        if not self._embed and old.store.vectors.count(old.embedder.name):
            return False
        with self.old.indexer.alone():
            kept = old.store.folders()
            for folder in set(new.store.folders()) - set(kept):
                new.forget_folder(folder)
            if not set(kept) <= set(new.store.folders()):
                return False  # One that was added just now: the next run brings it over.
            new.store.collections.take_names(old.store.collections)
            new.keeps_vectors = False
            new.prune()
            if self._embed and new.store.vectors.count(new.embedder.name):
                new.vectors()  # In step with the store before anybody asks it.
            current.switch(self.new)
        return True

    def _index(self, opened: Opened, root: Path, *, embed: bool) -> IndexReport:
        return opened.indexer.run(
            root, self._report, self._cancelled, embed=embed, background=self._background
        )

    def _bring_over(self, folder: Path) -> None:
        """Index a folder anew, or carry over what is known of one that cannot be reached."""
        if not folder_problem(folder):
            try:
                self._index(self.new, folder, embed=self._embed)
                return
            except FolderError:
                pass  # It went away just now.
        self._carry(str(folder))

    def _carry(self, folder: str) -> None:
        """Keep the notes of a folder as they were cut, to be read again when it is back.

        A drive that is not plugged in must neither cost its notes nor hold up the others.
        """
        old, new = self.old.indexes.store, self.new.indexes
        with new.writing(0.0):
            new.add_folder(folder)
            known = new.store.files(folder)
            for path, note in old.notes(folder).items():
                if path not in known:
                    unread = Fingerprint(note.fingerprint.size, -1, "")
                    new.put_chunks(note, unread, old.chunks_of(folder, path))
            for skip in old.skipped(folder):
                if skip.path not in known:
                    new.put_skipped(folder, skip.path, Fingerprint(0, -1, ""), skip.reason)
