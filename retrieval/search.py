"""From a query to passages: both legs, fused, and checked against the files as they are now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import EmbedderError, IndexDamagedError, IndexLockedError, IndexMissingError
from retrieval.fusion import DEPTH, Fused, fuse
from retrieval.indexer import Indexer
from retrieval.indexes import Indexes
from retrieval.notes import UnusableNoteError, decode, read_bytes, resolve_folder
from retrieval.types import Chunk, Hit, Leg, Passage, Query, SearchResult

_SCAN_SHARE = 20  # A folder is scanned for changes at most a twentieth of the time.
_EMBED_AT_ONCE = 64  # Texts of changed files that a search embeds before it answers.


@dataclass(frozen=True, slots=True)
class _FileNow:
    """A file behind a hit, as it is on disk."""

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
        folders = self._folders(query)
        text = " ".join(query.text.encode("utf-8", "replace").decode().split())
        notices: list[str] = []
        if not text or query.k < 1:
            return SearchResult((), (), 0, time.monotonic() - started)
        rankings = self._rank(query, text, folders, notices)
        passages, changed = self._passages(fuse(rankings, self._weights(folders)), query.k)
        if changed and self._refresh(changed, notices):
            again: list[str] = []
            rankings = self._rank(query, text, folders, again)
            passages, _ = self._passages(fuse(rankings, self._weights(folders)), query.k)
        stale = self._stale(query, folders, tuple(rankings), notices)
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

    def _folders(self, query: Query) -> tuple[str, ...]:
        """Give the folders to search, or raise ``IndexMissingError``."""
        known = self._indexes.store.folders()
        wanted = tuple(dict.fromkeys(str(resolve_folder(f)) for f in query.folders))
        missing = [folder for folder in wanted if folder not in known]
        if missing or not known:
            which = missing[0] if missing else ""
            raise IndexMissingError(
                f"{which or 'Nothing'} has {'not ' if which else ''}been indexed yet.",
                f"Index it first: alcove index {which or 'FOLDER'}",
            )
        return wanted or known

    def _rank(
        self, query: Query, text: str, folders: tuple[str, ...], notices: list[str]
    ) -> dict[Leg, Sequence[Hit]]:
        """Ask the legs that can answer."""
        rankings: dict[Leg, Sequence[Hit]] = {}
        everything = set(folders) == set(self._indexes.store.folders())
        only = () if everything else folders
        vector = query.leg != "bm25" and self._can_use_vectors(query, folders, notices)
        if query.leg != "vector" or not vector:
            rankings["bm25"] = self._indexes.lexical().search(text, DEPTH, only)
        if vector:
            try:
                rankings["vector"] = self._vector_hits(text, only, notices)
            except (EmbedderError, IndexDamagedError) as error:
                if query.leg == "vector":
                    raise
                notices.append(f"Searched by keywords only. {error}")
        return rankings

    def _weights(self, folders: tuple[str, ...]) -> dict[Leg, float]:
        """Weigh each leg by the share of the chunks that it covers.

        While a folder is being embedded, the vector leg's first place is the best of what happens
        to be embedded; at full weight it would outrank what the keyword leg found among all.
        """
        counts = [self._counts(folder) for folder in folders]
        chunks, embedded = (sum(column) for column in zip(*counts, strict=True))
        return {"bm25": 1.0, "vector": embedded / chunks if chunks else 1.0}

    def _can_use_vectors(self, query: Query, folders: tuple[str, ...], notices: list[str]) -> bool:
        """Say whether the vector leg takes part, and why not."""
        if not query.wait and not self._indexes.vectors_ready:
            notices.append("Searched by keywords only: the embedding model is still loading.")
            return False
        counts = [self._counts(folder) for folder in folders]
        embedded = sum(embedded for _, embedded in counts)
        if not embedded and any(chunks for chunks, _ in counts):
            notices.append("Searched by keywords only: the notes have no embeddings yet.")
            return False
        return embedded > 0

    def _vector_hits(self, text: str, only: tuple[str, ...], notices: list[str]) -> list[Hit]:
        embedder = self._indexes.embedder
        if embedder.count_tokens([text])[0] > embedder.max_tokens:
            notices.append(
                f"The question is long: the embedding model reads its first {embedder.max_tokens}"
                " tokens, the keyword search all of it."
            )
        return self._indexes.vectors().search(text, DEPTH, only)

    def _passages(
        self, fused: Sequence[Fused], k: int
    ) -> tuple[list[Passage], dict[str, set[str]]]:
        """Give the best chunks that stand in their files, and the files that changed."""
        passages: list[Passage] = []
        changed: dict[str, set[str]] = {}
        files: dict[tuple[str, str], _FileNow] = {}
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
                if _stands_in(chunk, files[where].lines):
                    passages.append(Passage(chunk, item.score, item.contributions))
                if len(passages) == k:
                    return passages, changed
        return passages, changed

    def _file_now(self, folder: str, path: str) -> _FileNow:
        """Read a file behind a hit, and compare it with what the index read."""
        try:
            data, fingerprint = read_bytes(Path(folder), path)
            lines = tuple(decode(data).split("\n"))
        except UnusableNoteError:
            return _FileNow((), fresh=False)
        stored = self._indexes.store.file(folder, path)
        fresh = stored is not None and stored.fingerprint.sha256 == fingerprint.sha256
        return _FileNow(lines, fresh)

    def _refresh(self, changed: dict[str, set[str]], notices: list[str]) -> bool:
        """Read changed files again; says whether the search is worth repeating."""
        refreshed = False
        for folder, paths in changed.items():
            if not Path(folder).is_dir():
                notices.append(f"The folder {folder} is not there; its passages were left out.")
                continue
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

    def _stale(
        self, query: Query, folders: tuple[str, ...], legs: tuple[Leg, ...], notices: list[str]
    ) -> bool:
        """Say whether the index lags behind the files, and what to do about it."""
        stale = False
        for folder in folders:
            pending = self._pending(folder)
            chunks, embedded = self._counts(folder)
            missing = chunks - embedded if query.leg != "bm25" else 0
            if not pending and not missing:
                continue
            stale = True
            if self._indexer.running == folder:
                what = _notes(pending) if pending else f"{missing} of {chunks} chunks"
                verb = "to be read" if pending else "to be embedded"
                notices.append(f"{folder} is still being indexed: {what} {verb}.")
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
