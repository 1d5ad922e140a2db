"""From a query to passages: both legs, fused, and checked against the files as they are now."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import (
    EmbedderError,
    IndexDamagedError,
    IndexLockedError,
    VectorIndexError,
)
from retrieval.fusion import Fused, fuse
from retrieval.indexer import Indexer
from retrieval.indexes import Indexes
from retrieval.notes import UnusableNoteError, decode, folder_problem, read_bytes
from retrieval.scope import Scope, find_scope
from retrieval.types import Chunk, Hit, Leg, Passage, Query, SearchResult

_SCAN_SHARE = 20  # A folder is scanned for changes at most a twentieth of the time.
_EMBED_AT_ONCE = 64  # Texts of changed files that a search embeds before it answers.


@dataclass(frozen=True, slots=True)
class _FileNow:
    """A file behind a hit, as it is on disk."""

    place: str
    """Its path with links followed: one file may be reached through several folders."""
    lines: tuple[str, ...]
    """Its lines; none when it is gone or no note any more."""
    fresh: bool
    """Whether the index has read it in this state."""


class Searcher:
    """Answers queries from one index. Threads may share it."""

    def __init__(self, indexes: Indexes, indexer: Indexer) -> None:
        self._indexes = indexes
        self._indexer = indexer
        self._scans: dict[str, tuple[float, int]] = {}
        self._counted: dict[str, tuple[int, tuple[int, int]]] = {}

    def search(self, query: Query) -> SearchResult:
        """Find passages; see ``Library.search``."""
        started = time.monotonic()
        scope = find_scope(self._indexes.store, query.folders)
        text = " ".join(query.text.encode("utf-8", "replace").decode().split())
        notices = list(scope.notices)
        if not text or query.k < 1:
            return SearchResult((), (), 0, time.monotonic() - started)
        rankings = self._rank(query, text, scope, notices)
        passages, changed = self._passages(fuse(rankings, self._weights(scope)), query.k)
        if changed and self._refresh(changed, notices):
            scope = find_scope(self._indexes.store, query.folders)
            rankings = self._rank(query, text, scope, [])
            passages, _ = self._passages(fuse(rankings, self._weights(scope)), query.k)
        stale = self._stale(query, scope, tuple(rankings), notices)
        found = {hit.chunk_id for hits in rankings.values() for hit in hits}
        return SearchResult(
            passages=tuple(passages),
            legs=tuple(rankings),
            found=len(found),
            seconds=time.monotonic() - started,
            notices=tuple(dict.fromkeys(notices)),
            stale=stale,
        )

    def forget_scans(self) -> None:
        """Look at the folders again before the next answer."""
        self._scans.clear()

    def _rank(
        self, query: Query, text: str, scope: Scope, notices: list[str]
    ) -> dict[Leg, Sequence[Hit]]:
        """Ask the legs that can answer."""
        rankings: dict[Leg, Sequence[Hit]] = {}
        if not scope.folders:
            return rankings
        vector = query.leg != "bm25" and self._can_use_vectors(query, scope, notices)
        if query.leg != "vector" or not vector:
            lexical = self._indexes.lexical()
            rankings["bm25"] = lexical.search(text, query.depth, scope.only, scope.within)
        if vector:
            try:
                rankings["vector"] = self._vector_hits(query, text, scope, notices)
            except (EmbedderError, IndexDamagedError, VectorIndexError) as error:
                if query.leg == "vector":
                    raise
                notices.append(f"Searched by keywords only. {error}")
        return rankings

    def _weights(self, scope: Scope) -> dict[Leg, float]:
        """Weigh each leg by the share of the chunks that it covers.

        While a folder is being embedded, the vector leg's first place is the best of what happens
        to be embedded; at full weight it would outrank what the keyword leg found among all.
        """
        counts = [self._counts(folder) for folder in scope.folders]
        chunks = sum(chunks for chunks, _ in counts)
        embedded = sum(embedded for _, embedded in counts)
        return {"bm25": 1.0, "vector": embedded / chunks if chunks else 1.0}

    def _can_use_vectors(self, query: Query, scope: Scope, notices: list[str]) -> bool:
        """Say whether the vector leg takes part, and why not."""
        if not query.wait and not self._indexes.vectors_ready:
            notices.append("Searched by keywords only: the embedding model is still loading.")
            return False
        counts = [self._counts(folder) for folder in scope.folders]
        embedded = sum(embedded for _, embedded in counts)
        if not embedded and any(chunks for chunks, _ in counts):
            notices.append("Searched by keywords only: the notes have no embeddings yet.")
            return False
        return embedded > 0

    def _vector_hits(self, query: Query, text: str, scope: Scope, notices: list[str]) -> list[Hit]:
        embedder = self._indexes.embedder
        if embedder.count_tokens([text])[0] > embedder.max_tokens:
            notices.append(
                f"The question is long: the embedding model reads its first {embedder.max_tokens}"
                " tokens, the keyword search all of it."
            )
        return self._indexes.vectors().search(text, query.depth, scope.only, scope.within)

    def _passages(
        self, fused: Sequence[Fused], k: int
    ) -> tuple[list[Passage], dict[str, set[str]]]:
        """Give the best chunks that stand in their files, and the files that changed."""
        passages: list[Passage] = []
        changed: dict[str, set[str]] = {}
        files: dict[tuple[str, str], _FileNow] = {}
        taken: set[tuple[str, int, int, str]] = set()
        step = max(2 * k, 16)
        for start in range(0, len(fused), step):
            some = fused[start : start + step]
            chunks = self._indexes.store.chunks([f.chunk_id for f in some])
            for item in some:
                chunk = chunks.get(item.chunk_id)
                if chunk is None:
                    continue
                where = (chunk.folder, chunk.note_path)
                if where not in files:
                    files[where] = self._file_now(*where)
                if not files[where].fresh:
                    changed.setdefault(chunk.folder, set()).add(chunk.note_path)
                span = (files[where].place, chunk.first_line, chunk.last_line, chunk.text)
                if span not in taken and _stands_in(chunk, files[where].lines):
                    taken.add(span)
                    passages.append(Passage(chunk, item.score, item.contributions))
                if len(passages) == k:
                    return passages, changed
        return passages, changed

    def _file_now(self, folder: str, path: str) -> _FileNow:
        """Read a file behind a hit, and compare it with what the index read."""
        place = os.path.realpath(Path(folder, path))
        try:
            data, fingerprint = read_bytes(Path(folder), path)
            lines = tuple(decode(data).split("\n"))
        except UnusableNoteError:
            return _FileNow(place, (), fresh=False)
        stored = self._indexes.store.file(folder, path)
        fresh = stored is not None and stored.fingerprint.sha256 == fingerprint.sha256
        return _FileNow(place, lines, fresh)

    def _refresh(self, changed: dict[str, set[str]], notices: list[str]) -> bool:
        """Read changed files again; says whether the search is worth repeating."""
        refreshed = False
        for folder, paths in changed.items():
            if folder_problem(Path(folder)):
                continue  # It went away just now; its files are not known to be gone.
            try:
                self._indexer.refresh(Path(folder), sorted(paths), _EMBED_AT_ONCE)
                refreshed = True
            except IndexLockedError:
                notices.append(
                    f"{_notes(len(paths))} changed while another process is indexing; passages "
                    "that are no longer there were left out."
                )
        self.forget_scans()
        return refreshed

    def _stale(self, query: Query, scope: Scope, legs: tuple[Leg, ...], notices: list[str]) -> bool:
        """Say whether the index lags behind the files, and what to do about it.

        A folder that cannot be reached matters to those who asked for it alone.
        """
        stale = bool(query.folders and scope.notices)
        for folder in scope.folders:
            pending = self._pending(folder)
            chunks, embedded = self._counts(folder)
            missing = chunks - embedded if query.leg != "bm25" else 0
            if not pending and not missing:
                continue
            stale = True
            indexing = self._indexing(folder)
            if indexing:
                what = _notes(pending) if pending else f"{missing} of {chunks} chunks"
                verb = "to be read" if pending else "to be embedded"
                notices.append(f"{indexing}: {what} {verb}.")
                continue
            if pending:
                notices.append(
                    f"{_notes(pending)} changed since {folder} was indexed; "
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

    def _counts(self, folder: str) -> tuple[int, int]:
        """Count a folder's chunks, and those with a vector."""
        store = self._indexes.store
        generation = store.generation()
        counted, counts = self._counted.get(folder, (-1, (0, 0)))
        if counted != generation:
            _, chunks, embedded = store.counts(folder, self._indexes.embedder.name)
            counts = (chunks, embedded)
            self._counted[folder] = (generation, counts)
        return counts


def _stands_in(chunk: Chunk, lines: Sequence[str]) -> bool:
    """Say whether a chunk's text is what its file says at its lines."""
    there = "\n".join(lines[chunk.first_line - 1 : chunk.last_line])
    if chunk.first_line == chunk.last_line:
        return bool(there) and chunk.text in there
    return there == chunk.text


def _notes(count: int) -> str:
    return "1 note" if count == 1 else f"{count} notes"
