"""How the index differs from the files on disk, and what a person is told of it."""

from __future__ import annotations

import time
from pathlib import Path

from retrieval.indexer import Indexer
from retrieval.indexes import Indexes
from retrieval.searching.scope import Scope
from retrieval.types import Leg, LegChoice

_SCAN_SHARE = 20  # A folder is scanned for changes at most a twentieth of the time.


class Freshness:
    """Knows what is waiting to be read or embedded. Threads may share it."""

    def __init__(self, indexes: Indexes, indexer: Indexer) -> None:
        self._indexes = indexes
        self._indexer = indexer
        self._scans: dict[str, tuple[float, int]] = {}
        self._counted: dict[str, tuple[int, tuple[int, int]]] = {}

    def forget_scans(self) -> None:
        """Look at the folders again before the next answer."""
        self._scans.clear()

    def counts(self, folder: str) -> tuple[int, int]:
        """Count a folder's chunks, and those with a vector."""
        store = self._indexes.store
        generation = store.generation()
        counted, counts = self._counted.get(folder, (-1, (0, 0)))
        if counted != generation:
            _, chunks, embedded = store.counts(folder, self._indexes.embedder.name)
            counts = (chunks, embedded)
            self._counted[folder] = (generation, counts)
        return counts

    def coverage(self, scope: Scope) -> dict[Leg, float]:
        """Give the share of the chunks that each leg can find.

        While a folder is being embedded, the vector leg's first place is the best of what happens
        to be embedded; at full weight it would outrank what the keyword leg found among all.
        """
        counts = [self.counts(folder) for folder in scope.folders]
        chunks = sum(chunks for chunks, _ in counts)
        embedded = sum(embedded for _, embedded in counts)
        return {"bm25": 1.0, "vector": embedded / chunks if chunks else 1.0}

    def stale(
        self, leg: LegChoice, scope: Scope, legs: tuple[Leg, ...], notices: list[str]
    ) -> bool:
        """Say whether the index lags behind the files, and what to do about it."""
        stale = False
        for folder in scope.folders:
            pending = self._pending(folder)
            chunks, embedded = self.counts(folder)
            missing = chunks - embedded if leg != "bm25" else 0
            if not pending and not missing:
                continue
            stale = True
            indexing = self._indexing(folder)
            if indexing:
                what = notes_counted(pending) if pending else f"{missing} of {chunks} chunks"
                verb = "to be read" if pending else "to be embedded"
                notices.append(f"{indexing}: {what} {verb}.")
                continue
            if pending:
                notices.append(
                    f"{notes_counted(pending)} changed since {folder} was indexed; "
                    f"run: alcove index {folder}"
                )
            if missing and "vector" in legs:
                notices.append(
                    f"{missing} of {chunks} chunks have no embeddings yet; "
                    f"run: alcove index {folder}"
                )
            elif missing:
                notices.append(f"Embeddings are missing; run: alcove index {folder}")
        return stale

    def _indexing(self, folder: str) -> str:
        """Say who is indexing a folder; empty when nobody is."""
        if self._indexer.running == folder:
            return f"{folder} is still being indexed"
        other = self._indexes.other_writer
        return "" if other is None else f"{folder}: process {other} is indexing it"

    def _pending(self, folder: str) -> int:
        """Count the files that changed, from a scan that is recent for what it costs."""
        now = time.monotonic()
        until, pending = self._scans.get(folder, (0.0, 0))
        if now >= until:
            pending = self._indexer.pending(Path(folder))
            finished = time.monotonic()
            self._scans[folder] = (finished + _SCAN_SHARE * (finished - now), pending)
        return pending


def notes_counted(count: int) -> str:
    """Write a number of notes in words."""
    return "1 note" if count == 1 else f"{count} notes"
