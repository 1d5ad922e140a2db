"""The vector leg: cosine nearest neighbours in Chroma.

Chroma derives from the store: a chunk's id stands for its text, so comparing ids is enough to
bring it in step, and it can be thrown away and rebuilt without embedding anything again.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from retrieval.errors import RetrievalError, VectorIndexDamagedError, VectorIndexError
from retrieval.store import Store
from retrieval.types import Embedder, Hit, Leg

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

T = TypeVar("T")

_HNSW: Any = {"space": "cosine", "ef_construction": 200, "ef_search": 300, "max_neighbors": 16}
_BATCH = 1000


class VectorIndex:
    """Ranks chunks by the cosine of their vectors. Threads may share it."""

    def __init__(self, directory: Path, store: Store, embedder: Embedder) -> None:
        self._directory = directory
        self._store = store
        self._embedder = embedder
        self._lock = threading.RLock()
        self._client: ClientAPI | None = None
        self._collection: Collection | None = None

    @property
    def leg(self) -> Leg:
        """Which leg this is."""
        return "vector"

    @property
    def is_open(self) -> bool:
        """Whether Chroma is loaded."""
        return self._collection is not None

    def __len__(self) -> int:
        return self._collection.count() if self._collection is not None else 0

    def open(self, *, synchronise: bool) -> None:
        """Load Chroma; when this process may write, bring it in step with the store.

        A damaged Chroma folder is then rebuilt from the stored vectors. Raises
        ``VectorIndexError``.
        """
        with self._lock:
            if self._collection is not None:
                return
            try:
                self._start(synchronise)
            except VectorIndexDamagedError:
                self._start_again(synchronise)

    def close(self) -> None:
        """Let go of Chroma; it can be opened again."""
        with self._lock:
            client, self._client, self._collection = self._client, None, None
            if client is not None:
                client.close()  # type: ignore[attr-defined]

    def add(self, chunk_ids: Sequence[str]) -> None:
        """Add the chunks that have a vector in the store."""
        if not chunk_ids:
            return
        with self._lock:
            collection = self._opened()
            slices = self._store.vectors.vectors(self._embedder.name, chunk_ids)
            for ids, folders, vectors in slices:
                _guarded(
                    self._directory,
                    lambda i=ids, f=folders, v=vectors: collection.upsert(  # type: ignore[misc]
                        ids=i, embeddings=v, metadatas=[{"folder": folder} for folder in f]
                    ),
                )

    def remove(self, chunk_ids: Sequence[str]) -> None:
        """Remove chunks; ids that are not there are ignored."""
        with self._lock:
            collection = self._opened()
            for start in range(0, len(chunk_ids), _BATCH):
                some = list(chunk_ids[start : start + _BATCH])
                _guarded(self._directory, lambda s=some: collection.delete(ids=s))  # type: ignore[misc]

    def search(
        self,
        query: str,
        depth: int,
        folders: Sequence[str] = (),
        within: frozenset[str] | None = None,
    ) -> list[Hit]:
        """Rank at most ``depth`` chunks by cosine similarity to the query, best first."""
        vector = self._embedder.embed_query(query)
        where: Any = {"folder": {"$in": list(folders)}} if folders else None
        with self._lock:
            collection = self._opened()
            ids = None if within is None else self._held(sorted(within))
            count = min(depth, collection.count() if ids is None else len(ids))
            if count == 0:
                return []
            answer = _guarded(
                self._directory,
                lambda: collection.query(
                    query_embeddings=vector.reshape(1, -1),
                    ids=ids,
                    n_results=count,
                    where=where,
                    include=["distances"],
                ),
            )
        distances = answer["distances"]
        assert distances is not None
        pairs = sorted(zip(distances[0], answer["ids"][0], strict=True))
        return [
            Hit(chunk_id, rank, 1.0 - float(distance))
            for rank, (distance, chunk_id) in enumerate(pairs, start=1)
        ]

    def _held(self, ids: list[str]) -> list[str]:
        """Keep the ids that Chroma has: its query fails on any other."""
        collection = self._opened()
        if not ids:
            return []
        return _guarded(self._directory, lambda: collection.get(ids=ids, include=[])["ids"])

    def _opened(self) -> Collection:
        if self._collection is None:
            self.open(synchronise=False)
        assert self._collection is not None
        return self._collection

    def _connect(self) -> None:
        import chromadb  # the keyword leg must not pay for it
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._client = chromadb.PersistentClient(self._directory, settings=settings)
        digest = hashlib.sha256(self._embedder.name.encode()).hexdigest()[:12]
        self._collection = self._client.get_or_create_collection(
            f"chunks-{digest}",
            embedding_function=None,
            configuration={"hnsw": _HNSW},
        )

    def _synchronise(self) -> None:
        """Add what Chroma lacks and delete what the store no longer has."""
        wanted = self._store.vectors.ids(self._embedder.name)
        held = set(self._opened().get(include=[])["ids"])
        self.remove(sorted(held - wanted))
        self.add(sorted(wanted - held))

    def _start(self, synchronise: bool) -> None:
        def start() -> None:
            self._connect()
            if synchronise:
                self._synchronise()

        try:
            _guarded(self._directory, start)
        except BaseException:
            self._let_go()  # Half in step it must not pass for open.
            raise

    def _start_again(self, synchronise: bool) -> None:
        """Try once more, as what failed may have passed; only then start Chroma anew."""
        try:
            self._start(synchronise)
        except VectorIndexDamagedError:
            if not synchronise:
                raise
            shutil.rmtree(self._directory, ignore_errors=True)
            self._start(synchronise)
            self._store.mark_changed()  # Other processes have the old folder open.

    def _let_go(self) -> None:
        """Close Chroma, and keep it from handing out the client that failed to start."""
        from chromadb.api.shared_system_client import SharedSystemClient

        self.close()
        SharedSystemClient.clear_system_cache()


def _guarded(directory: Path, work: Callable[[], T]) -> T:
    """Run a call into Chroma; what it raises becomes an error with a remedy."""
    try:
        return work()
    except (KeyboardInterrupt, SystemExit, RetrievalError):
        raise
    except (OSError, MemoryError, ImportError) as error:  # These say nothing of what is on disk.
        raise VectorIndexError(
            f"The vector index in {directory} cannot be used now ({_said(error)}).",
            "Check that there is memory and disk space, and try again; it is left as it is.",
        ) from error
    except BaseException as error:  # Chroma's core panics with a bare BaseException.
        raise VectorIndexDamagedError(
            f"The vector index in {directory} cannot be used ({_said(error)}).",
            f"Delete the folder {directory} and run the same command again: it is rebuilt from the "
            "stored vectors in moments.",
        ) from error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
