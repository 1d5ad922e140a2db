"""The vectors of texts on a Chroma server, which a team may share.

The server sees vectors and the digests of the texts they stand for: no text, no path, no name.
As a digest says what a text is and not where it lies, people whose folders have different paths
share what is the same, and nobody deletes anything: it may be another's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import numpy as np

from retrieval.chroma.local import HNSW, collection_name, nearest_to, ranked
from retrieval.errors import VectorIndexError

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection
    from numpy.typing import NDArray

T = TypeVar("T")

_BATCH = 500
_PATIENCE_SECONDS = 5.0
_REST_SECONDS = 15.0  # A server that did not answer in time is left alone for as long.


class ServerVectors:
    """A collection on a server: the vectors of one embedder, under the keys of their texts."""

    def __init__(self, address: str, embedder: str, patience: float = _PATIENCE_SECONDS) -> None:
        """Prepare for a server; ``patience`` is the longest that one request may take."""
        self._address = address
        self._name = collection_name(embedder)
        self._patience = patience
        self._client: ClientAPI | None = None
        self._collection: Collection | None = None
        self._id = ""
        self._resting_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the server answered."""
        return self._collection is not None

    @property
    def places(self) -> str:
        """What ``place`` begins with; known without the server."""
        return f"{self._address} {self._name} "

    @property
    def place(self) -> str:
        """Name of the collection, another when the server lost its data. Raises as ``open``."""
        self.open()
        return self.places + self._id

    def open(self) -> None:
        """Connect, whether or not it was connected before. Raises ``VectorIndexError``."""
        if self._collection is None:
            parts = _parsed(self._address)
            self._client, self._collection = self._in_time(lambda: self._connect(parts))
            self._id = str(self._collection.id)

    def close(self) -> None:
        """Let go of the connection; it can be opened again."""
        client, self._client, self._collection = self._client, None, None
        if client is not None:
            client.close()  # type: ignore[attr-defined]

    def missing(self, keys: Sequence[bytes]) -> list[bytes]:
        """Give those of the texts that the server does not have."""
        held: set[str] = set()
        for some in _batches(keys):
            held.update(self._call("get", ids=some, include=[])["ids"])
        return [key for key in keys if key.hex() not in held]

    def add(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Add vectors, shape (keys, dimensions), of texts."""
        for start in range(0, len(keys), _BATCH):
            ids = [key.hex() for key in keys[start : start + _BATCH]]
            some = vectors[start : start + _BATCH]
            self._call("upsert", ids=ids, embeddings=some)

    def fetch(self, keys: Sequence[bytes], dimensions: int) -> dict[bytes, NDArray[np.float32]]:
        """Give the vectors of those texts that the server has; what is no unit vector is not."""
        found: dict[bytes, NDArray[np.float32]] = {}
        for some in _batches(keys):
            answer = self._call("get", ids=some, include=["embeddings"])
            vectors = answer["embeddings"]
            if vectors is None:
                continue
            for i, vector in zip(answer["ids"], vectors, strict=True):
                row = np.asarray(vector, np.float32)
                if row.shape == (dimensions,) and abs(float(row @ row) - 1.0) < 1e-3:
                    found[bytes.fromhex(i)] = row
        return found

    def nearest(self, vector: NDArray[np.float32], count: int) -> list[tuple[bytes, float]]:
        """Give at most ``count`` texts with their cosines, the most similar first."""
        found: list[tuple[bytes, float]] = self._call("query", ranked, **nearest_to(vector, count))
        return found

    def _connect(self, parts: SplitResult) -> tuple[ClientAPI, Collection]:
        import chromadb  # the keyword leg must not pay for it
        from chromadb.config import Settings

        client = chromadb.HttpClient(
            host=parts.geturl(),  # Whole: it then takes port and path from it.
            ssl=parts.scheme == "https",
            # Its connections are closed after each request, as it never closes those it keeps.
            settings=Settings(anonymized_telemetry=False, chroma_http_max_keepalive_connections=0),
        )
        collection = client.get_or_create_collection(
            self._name, embedding_function=None, configuration={"hnsw": HNSW}
        )
        return client, collection

    def _call(
        self,
        method: str,
        read: Callable[[Any], Any] = lambda answer: answer,
        **arguments: object,
    ) -> Any:  # noqa: ANN401 (Chroma's answers)
        """Send a request; ``read`` takes the answer apart, which may be wrong as well.

        On a new connection if need be: the server may have been started anew since the last one.
        """

        def ask() -> Any:  # noqa: ANN401 (Chroma's answers)
            self.open()
            collection = self._collection
            return self._in_time(lambda: read(getattr(collection, method)(**arguments)))

        was_open = self.is_open
        try:
            return ask()
        except VectorIndexError:
            if not was_open or time.monotonic() < self._resting_until:
                raise
            return ask()

    def _in_time(self, work: Callable[[], T]) -> T:
        """Run a request; one that fails, or takes too long, becomes an error with a remedy.

        Chroma's client waits forever, so it runs in a thread that nobody has to wait for.
        """
        if time.monotonic() < self._resting_until:
            raise self._away("it did not answer in time a moment ago")
        outcome: list[T | BaseException] = []

        def run() -> None:
            try:
                outcome.append(work())
            except BaseException as error:  # Handed to the thread that asked.
                outcome.append(error)

        thread = threading.Thread(target=run, name="chroma-server", daemon=True)
        thread.start()
        thread.join(self._patience)
        if not outcome:
            self.close()
            self._resting_until = time.monotonic() + _REST_SECONDS
            raise self._away(f"it did not answer within {self._patience:g} seconds")
        (result,) = outcome
        if isinstance(result, BaseException):
            self.close()
            raise self._away(_said(result)) from result
        return result

    def _away(self, why: str) -> VectorIndexError:
        return VectorIndexError(
            f"The Chroma server at {self._address} cannot be used now ({why}).",
            "Check that it runs (chroma run) and that its version is like this Alcove's; or take "
            "the address out of the settings (index.vectors) to keep the vectors here.",
        )


def _parsed(address: str) -> SplitResult:
    """Take an address apart. Raises ``VectorIndexError`` when it is none."""
    try:
        parts = urlsplit(address.strip().rstrip("/"))
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port that is no number.
        valid = False
    if not valid or parts.username or parts.query or parts.fragment:
        raise VectorIndexError(
            f"{address!r} is not the address of a Chroma server.",
            "Write it as http://host:8000 or https://host in the settings (index.vectors).",
        )
    return parts


def _batches(keys: Sequence[bytes]) -> list[list[str]]:
    ids = [key.hex() for key in keys]
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return text or type(error).__name__
