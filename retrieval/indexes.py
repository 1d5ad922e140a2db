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

from retrieval import chunking, tokenizing
from retrieval.chunking import chunk_note, indexed_text
from retrieval.errors import IndexLockedError
from retrieval.lexical import LexicalIndex
from retrieval.locking import WriteLock
from retrieval.store import Store
from retrieval.tokenizing import tokenize
from retrieval.types import Embedder, Fingerprint, Note
from retrieval.vector_table import Unembedded
from retrieval.vectors import VectorIndex

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Indexes:
    """One index directory: SQLite at once, BM25 and Chroma when they are first needed."""

    def __init__(self, directory: Path, embedder: Embedder) -> None:
        self.embedder = embedder
        self.store = Store(directory / "index.sqlite3")
        self._write_lock = WriteLock(directory)
        self._vectors = VectorIndex(directory / "chroma", self.store, embedder)
        self._lexical: LexicalIndex | None = None
        self._lock = threading.RLock()
        self._generation = self.store.generation()

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
                self.store.set_rules(self._rules())
                self._generation = self.store.generation()
            yield
            if self._vectors.is_open:
                self._vectors.flush()

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
                lexical = LexicalIndex(self.store.term_numbers, tokenize)
                lexical.add(self.store.all_terms())
                self._lexical = lexical
            return self._lexical

    @property
    def vectors_ready(self) -> bool:
        """Whether the vector leg can answer without loading anything."""
        return self.embedder.loaded and self._vectors.is_open

    def vectors(self) -> VectorIndex:
        """Give the vector leg, loading Chroma when needed; the embedder loads when it is used."""
        with self._lock:
            if not self._write_lock.held:
                self._follow_others()
        if not self._vectors.is_open:
            try:
                with self.writing(wait=0.0):
                    self._vectors.open(synchronise=True)
                    with self._lock:
                        self._generation = self.store.generation()
            except IndexLockedError:
                self._vectors.open(synchronise=False)
        return self._vectors

    def add_folder(self, folder: str) -> None:
        """Note that a folder is indexed, even when it is empty."""
        with self._lock:
            self.store.add_folder(folder)
            self._generation = self.store.generation()

    def forget_folder(self, folder: str) -> None:
        """Forget a folder with all it held."""
        with self._lock:
            self._removed(self.store.forget_folder(folder))
            self.prune()

    def put_note(self, note: Note, fingerprint: Fingerprint) -> None:
        """Replace a note's chunks; the keyword leg finds them from here on."""
        embedder = self.embedder
        chunks = [
            (chunk, Counter(tokenize(indexed_text(chunk))))
            for chunk in chunk_note(note, embedder.count_tokens, embedder.max_tokens)
        ]
        with self._lock:
            change = self.store.put_file(note.folder, note.path, fingerprint, chunks)
            # An id stands for its text: a chunk that stays needs nothing from the vector leg.
            added, removed = set(change.added.chunk_ids), set(change.removed)
            self._removed([i for i in change.removed if i not in added])
            if self._lexical is not None:
                self._lexical.add(change.added)
            if self._vectors.is_open:
                self._vectors.add([i for i in change.added.chunk_ids if i not in removed])
            self._generation = self.store.generation()

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
            leg.add_texts(keys)
            self._generation = self.store.generation()

    def prune(self) -> None:
        """Forget the vectors that no chunk needs any more."""
        with self._lock:
            self.store.vectors.prune()
            self._generation = self.store.generation()

    def _removed(self, chunk_ids: Sequence[str]) -> None:
        if self._lexical is not None:
            self._lexical.remove(chunk_ids)
        if self._vectors.is_open:
            self._vectors.remove(chunk_ids)

    def _follow_others(self) -> None:
        """Forget what is loaded when another process changed the index."""
        if self.store.generation() != self._generation:
            self._lexical = None
            self._vectors.close()
            self._generation = self.store.generation()

    def _rules(self) -> str:
        """Name everything that decides how a file becomes chunks and terms."""
        return (
            f"chunking {chunking.VERSION}, tokenizing {tokenizing.VERSION}, "
            f"{self.embedder.max_tokens} tokens of {self.embedder.name}"
        )
