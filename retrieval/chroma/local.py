"""The vectors of texts in a Chroma folder of one's own.

It derives from the store and can be thrown away: what is damaged is built anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from retrieval.errors import RetrievalError, VectorIndexDamagedError, VectorIndexError

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection
    from numpy.typing import NDArray

T = TypeVar("T")

HNSW: Any = {"space": "cosine", "ef_construction": 200, "ef_search": 1000, "max_neighbors": 16}
"""How Chroma's graph is built and searched; tests/benchmarks/bench_search.py says how well."""

_BATCH = 1000
_PAGE = 5000


class LocalVectors:
    """A collection in a folder: the vectors of one embedder, under the keys of their texts."""

    def __init__(self, directory: Path, embedder: str) -> None:
        self._directory = directory
        self._name = collection_name(f"{embedder} {sorted(HNSW.items())}")
        self._client: ClientAPI | None = None
        self._collection: Collection | None = None

    @property
    def is_open(self) -> bool:
        """Whether Chroma is loaded."""
        return self._collection is not None

    def open(self) -> None:
        """Load Chroma; idempotent. Raises ``VectorIndexError``."""
        if self._collection is None:
            self._guarded(self._connect)

    def close(self) -> None:
        """Let go of Chroma; it can be opened again."""
        client, self._client, self._collection = self._client, None, None
        if client is not None:
            client.close()  # type: ignore[attr-defined]

    def let_go(self) -> None:
        """Close Chroma, and keep it from handing out a client that failed to start."""
        from chromadb.api.shared_system_client import SharedSystemClient

        self.close()
        SharedSystemClient.clear_system_cache()

    def keys(self) -> set[bytes]:
        """Give the keys of all texts held."""
        held: set[bytes] = set()
        for start in range(0, self._call("count"), _PAGE):  # All at once they cost 30 MB for good.
            page = self._call("get", include=[], limit=_PAGE, offset=start)
            held.update(map(bytes.fromhex, page["ids"]))
        return held

    def add(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Add vectors, shape (keys, dimensions), of texts; those that are held stay."""
        for start in range(0, len(keys), _BATCH):
            ids = [key.hex() for key in keys[start : start + _BATCH]]
            held = set(self._call("get", ids=ids, include=[])["ids"])
            rows = [row for row, i in enumerate(ids) if i not in held]
            if rows:
                wanted, some = [ids[row] for row in rows], vectors[start : start + _BATCH][rows]
                self._call("upsert", ids=wanted, embeddings=some)

    def remove(self, keys: Sequence[bytes]) -> None:
        """Remove texts; those that are not held are ignored."""
        for start in range(0, len(keys), _BATCH):
            some = [key.hex() for key in keys[start : start + _BATCH]]
            self._call("delete", ids=some)

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[tuple[bytes, float]]:
        """Give at most ``count`` texts with their cosines, the most similar first."""
        return ranked(self._call("query", **nearest_to(vector, count)))

    def _connect(self) -> None:
        import chromadb  # the keyword leg must not pay for it
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        self._directory.mkdir(parents=True, exist_ok=True)
        self._client = chromadb.PersistentClient(self._directory, settings=settings)
        for collection in self._client.list_collections():
            if collection.name != self._name:  # Of another embedder, or another kind of graph.
                self._client.delete_collection(collection.name)
        self._collection = self._client.get_or_create_collection(
            self._name, embedding_function=None, configuration={"hnsw": HNSW}
        )

    def _call(self, method: str, **arguments: object) -> Any:  # noqa: ANN401 (Chroma's answers)
        self.open()
        return self._guarded(lambda: getattr(self._collection, method)(**arguments))

    def _guarded(self, work: Callable[[], T]) -> T:
        """Run a call into Chroma; what it raises becomes an error with a remedy."""
        try:
            return work()
        except (KeyboardInterrupt, SystemExit, RetrievalError):
            raise
        except (OSError, MemoryError, ImportError) as error:  # Nothing is wrong on disk.
            raise VectorIndexError(
                f"The vector index in {self._directory} cannot be used now ({_said(error)}).",
                "Check that there is memory and disk space, and try again; it is left as it is.",
            ) from error
        except BaseException as error:  # Chroma's core panics with a bare BaseException.
            raise VectorIndexDamagedError(
                f"The vector index in {self._directory} cannot be used ({_said(error)}).",
                f"Delete the folder {self._directory} and run the same command again: it is "
                "rebuilt from the stored vectors in moments.",
            ) from error


def collection_name(content: str) -> str:
    """Name a collection after what is special about its vectors, in Chroma's narrow alphabet."""
    return f"texts-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def nearest_to(vector: NDArray[np.float32], count: int) -> dict[str, object]:
    """Give the arguments of a query for the texts nearest to a vector."""
    return {
        "query_embeddings": vector.reshape(1, -1),
        "n_results": count,
        "include": ["distances"],
    }


def ranked(answer: Mapping[str, Any]) -> list[tuple[bytes, float]]:
    """Give the texts that a query found, with their cosines, the most similar first."""
    pairs = sorted(zip(answer["distances"][0], answer["ids"][0], strict=True))
    return [(bytes.fromhex(i), 1.0 - float(distance)) for distance, i in pairs]


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
