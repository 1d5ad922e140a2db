"""The store and both legs of one index, kept in step.

Every change goes through here: first the store, in a transaction, then the legs that are loaded.
A leg that is not loaded yet reads the store when it is.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval import chunking, extract, tokenizing
from retrieval.chroma.shared import SharedVectorLeg
from retrieval.chunking import chunk_note, indexed_text
from retrieval.errors import IndexLockedError
from retrieval.lexical import LexicalIndex
from retrieval.locking import WriteLock
from retrieval.storage.rows import text_hash
from retrieval.storage.vector_table import Unembedded
from retrieval.store import Store
from retrieval.tokenizing import tokenize
from retrieval.types import Chunk, Embedder, Fingerprint, Note
from retrieval.vectors import VectorIndex, VectorLeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

EmbedderNamed = Callable[[str], Embedder | None]
"""Finds an embedder by the name that an index stores; nothing when it cannot be had here."""

_EMBEDDER_MARK = " tokens of "


class Indexes:
    """One index directory: SQLite at once, BM25 and Chroma when they are first needed."""

    def __init__(
        self,
        directory: Path,
        embedder: Embedder,
        *,
        lock: WriteLock | None = None,
        embedder_named: EmbedderNamed | None = None,
        server: str = "",
    ) -> None:
        """Open an index; see ``Library``.

        ``lock`` is that of the whole index directory, when this is one generation in it. Content
        that another embedder made keeps it, when ``embedder_named`` knows it. ``server`` is the
        address of a Chroma server, if that is to hold the vectors as well.
        """
        self.store = Store(directory / "index.sqlite3")
        self._own_rules = rules_of(embedder)
        self.embedder = self._embedder_of_content(embedder, embedder_named)
        self._write_lock = lock or WriteLock(directory)
        self._vectors: VectorLeg = (
            SharedVectorLeg(server, self.store, self.embedder)
            if server
            else VectorIndex(directory / "chroma", self.store, self.embedder)
        )
        self._lexical: LexicalIndex | None = None
        self._lock = threading.RLock()
        self._generation = self.store.generation()
        self._lost = 0
        self.keeps_vectors = False
        """Whether vectors that no chunk needs yet are kept, as while this is being built."""

    def close(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._vectors.close()
            self.store.close()

    @contextmanager
    def writing(self, wait: float, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Keep other processes from writing during the block.

        ``waiting`` is called while one of them does, and may raise to stop. Raises
        ``IndexLockedError`` when that takes longer than ``wait`` seconds.
        """
        with self._write_lock.hold(wait, waiting):
            with self._lock:
                self._follow_others()
                self.store.set_rules(self._own_rules)
                self._generation = self.store.generation()
            yield
            if self._vectors.is_open:
                self._vectors.flush()

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Write many files during the block: what is read is found a fraction of a second later.

        The write lock must be held.
        """
        try:
            with self.store.grouped():
                yield
        finally:
            with self._lock:
                self._generation = self.store.generation()

    @property
    def outdated(self) -> bool:
        """Whether what it holds was made by other rules than those that hold now."""
        return self.store.rules() not in {"", self._own_rules}

    @property
    def foreign(self) -> bool:
        """Whether what it holds was embedded by an embedder that is not to be had."""
        return self._embedder_of_rules() not in {"", self.embedder.name}

    @property
    def other_writer(self) -> int | None:
        """The id of the other process that is writing; None when there is none."""
        return self._write_lock.other_holder()

    def lexical(self) -> LexicalIndex:
        """Give the keyword leg as of the last change, by whichever process."""
        with self._lock:
            if not self._write_lock.held:
                self._follow_others()
            if self._lexical is None:
                self.store.settle()  # What a run has just written is to be in it.
                lexical = LexicalIndex(self.store.term_numbers, tokenize)
                lexical.load(self.store.all_terms(), self.store.postings())
                self._lexical = lexical
            return self._lexical

    @property
    def vectors_ready(self) -> bool:
        """Whether the vector leg can answer without loading anything."""
        return self.embedder.loaded and self._vectors.is_open

    def vectors(self) -> VectorLeg:
        """Give the vector leg, loading Chroma when needed; the embedder loads when it is used."""
        with self._lock:
            if not self._write_lock.held:
                self._follow_others()
        if not self._vectors.is_open:
            self.store.settle()
            try:
                with self.writing(wait=0.0):
                    self._vectors.open(synchronise=True)
                    with self._lock:
                        self._generation = self.store.generation()
            except IndexLockedError:
                self._vectors.open(synchronise=False)
        return self._vectors

    def add_folder(self, folder: str, name: str | None = None) -> None:
        """Note that a folder is indexed, even when it is empty; see ``Collections.put``."""
        with self._lock:
            self.store.add_folder(folder, name)
            self._generation = self.store.generation()

    def forget_folder(self, folder: str) -> None:
        """Forget a folder with all it held."""
        with self._lock:
            self._removed(self.store.forget_folder(folder))
            self.prune()

    def put_note(self, note: Note, fingerprint: Fingerprint) -> None:
        """Replace a note's chunks; the keyword leg finds them from here on."""
        embedder = self.embedder
        self.put_chunks(
            note, fingerprint, chunk_note(note, embedder.count_tokens, embedder.max_tokens)
        )

    def put_chunks(self, note: Note, fingerprint: Fingerprint, chunks: Sequence[Chunk]) -> None:
        """Replace a note's chunks by those given, cut by whatever rules."""
        counted = [(chunk, Counter(tokenize(indexed_text(chunk)))) for chunk in chunks]
        with self._lock:
            change = self.store.put_file(note.folder, note.path, fingerprint, counted, note=note)
            # An id stands for its text: a chunk that stays needs nothing from the vector leg.
            added, removed = set(change.added.chunk_ids), set(change.removed)
            self._removed([i for i in change.removed if i not in added])
            if self._lexical is not None:
                self._lexical.add(change.added)
            self._generation = self.store.generation()
        if self._vectors.is_open:  # It may wait for a server, and searches must not.
            texts = [indexed_text(chunk) for chunk in chunks if chunk.id not in removed]
            self._vectors.add_texts([text_hash(text) for text in texts])

    def put_skipped(self, folder: str, path: str, fingerprint: Fingerprint, reason: str) -> None:
        """Note why a file is not indexed, and forget what it held."""
        with self._lock:
            self._removed(self.store.put_file(folder, path, fingerprint, (), reason).removed)
            self._generation = self.store.generation()

    def remove(self, folder: str, path: str) -> None:
        """Forget a file."""
        with self._lock:
            self._removed(self.store.remove_file(folder, path))
            self._generation = self.store.generation()

    def touch(self, folder: str, path: str, fingerprint: Fingerprint) -> None:
        """Keep a file's new stat when its content is what it was."""
        with self._lock:
            self.store.touch(folder, path, fingerprint)
            self._generation = self.store.generation()

    def put_vectors(self, texts: Sequence[Unembedded], vectors: NDArray[np.float32]) -> None:
        """Keep the vectors of texts; the vector leg finds their chunks from here on."""
        keys = [text.text_hash for text in texts]
        leg = self.vectors()
        with self._lock:
            self.store.vectors.put(self.embedder.name, keys, vectors)
            self._generation = self.store.generation()
        leg.add_texts(keys)  # It may wait for a server, and searches must not.

    def take_shared(self, texts: Sequence[Unembedded]) -> list[Unembedded]:
        """Take over the vectors that colleagues have for texts; gives the texts they lack."""
        if not isinstance(self._vectors, SharedVectorLeg):
            return list(texts)
        found = self._vectors.fetch([text.text_hash for text in texts])
        known = [text for text in texts if text.text_hash in found]
        if known:
            self.put_vectors(known, np.stack([found[text.text_hash] for text in known]))
        self._vectors.catch_up()
        return [text for text in texts if text.text_hash not in found]

    @property
    def vectors_problem(self) -> str:
        """Say why vectors could not be shared of late; empty when all is well."""
        return self._vectors.problem

    def prune(self) -> None:
        """Forget the vectors that no chunk needs any more."""
        if self.keeps_vectors:
            return
        with self._lock:
            self.store.vectors.prune()
            self._generation = self.store.generation()

    def _removed(self, chunk_ids: Sequence[str]) -> None:
        if self._lexical is not None:
            self._lexical.remove(chunk_ids)
        if self._vectors.is_open:
            self._vectors.remove(chunk_ids)

    def _follow_others(self) -> None:
        """Forget what is loaded when another process changed the index, or a write was lost."""
        generation, lost = self.store.generation(), self.store.lost
        if (generation, lost) != (self._generation, self._lost):
            self._lexical = None
            self._vectors.close()
            self._generation, self._lost = generation, lost

    def _embedder_of_content(self, ours: Embedder, named: EmbedderNamed | None) -> Embedder:
        """Give the embedder that made what is here; ours when that one is not to be had."""
        name = self._embedder_of_rules()
        if named is None or name in {"", ours.name}:
            return ours
        return named(name) or ours

    def _embedder_of_rules(self) -> str:
        return self.store.rules().partition(_EMBEDDER_MARK)[2]


def rules_of(embedder: Embedder) -> str:
    """Name everything that decides how a file becomes chunks, terms and vectors."""
    return (
        f"extraction {extract.VERSION}, "
        f"chunking {chunking.VERSION}, tokenizing {tokenizing.VERSION}, "
        f"{embedder.max_tokens}{_EMBEDDER_MARK}{embedder.name}"
    )
