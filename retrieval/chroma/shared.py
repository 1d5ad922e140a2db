"""The vector leg on a Chroma server that others use as well.

SQLite stays the truth: what could not be sent yet is compared here, and sent at the next chance.
A text that a colleague embedded is not embedded again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from retrieval.chroma.server import ServerVectors
from retrieval.errors import VectorIndexError
from retrieval.store import Store
from retrieval.types import Embedder
from retrieval.vectors import VectorLeg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SENT_AT_ONCE = 500
_SENT_BY_A_SEARCH = 1000  # A search does not wait for a whole index to be sent.


class SharedVectorLeg(VectorLeg):
    """The vector leg with its Chroma on a server; see ``VectorLeg``."""

    def __init__(self, address: str, store: Store, embedder: Embedder) -> None:
        super().__init__(store, embedder)
        self._server = ServerVectors(address, embedder.name)
        self._open = False
        self._late = 0
        self._problem = ""

    @property
    def is_open(self) -> bool:
        """Whether it was opened; the server may be away nevertheless."""
        return self._open

    @property
    def problem(self) -> str:
        """Say why vectors could not be shared of late; empty when all is well."""
        return self._problem

    def __len__(self) -> int:
        return self._table.count(self._embedder.name) if self._open else 0

    def open(self, *, synchronise: bool) -> None:
        """Connect if the server is there: indexing goes on without it, a search says so."""
        self._open = True
        self._send(_SENT_BY_A_SEARCH)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._open = False
            self._server.close()

    def add_texts(self, keys: Sequence[bytes]) -> None:
        """Send what the store holds and the server lacks, some at a time."""
        self._late += len(keys)
        if self._late >= _SENT_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Send all that the server lacks, if it is there."""
        if self._late:
            self._send(sys.maxsize)
            self._late = 0

    def remove(self, chunk_ids: Sequence[str]) -> None:
        """Do nothing: what is on the server may be another's as well."""

    def fetch(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Give the vectors of those texts that the server has; none while it is away."""
        found: dict[bytes, NDArray[np.float32]] = {}
        with self._tried():
            for start in range(0, len(keys), _SENT_AT_ONCE):
                some = keys[start : start + _SENT_AT_ONCE]
                with self._lock:
                    found.update(self._server.fetch(some, self._embedder.dimensions))
        return found

    def catch_up(self) -> None:
        """Send what waits in the store, if anything does and the server is there."""
        mark = self._table.sent(self._server.places)
        if self._table.keys_after(self._embedder.name, mark):
            self._send(sys.maxsize)

    def _nearest(self, vector: NDArray[np.float32], count: int) -> list[tuple[bytes, float]]:
        return self._server.nearest(vector, count)

    def _waiting(self) -> Sequence[bytes]:
        """Give the texts that the server lacked just now, and send some of them."""
        mark = self._table.sent(self._server.place)
        keys = self._table.keys_after(self._embedder.name, mark)
        if keys:
            self._send(_SENT_BY_A_SEARCH)
        return keys

    def _send(self, most: int) -> None:
        """Send what was put into the store since the last time; nothing while nobody answers."""
        with self._tried():
            sent = 0
            while sent < most:
                with self._lock:  # Let go of each time, so that searches get their turn.
                    some = self._send_some()
                if not some:
                    return
                sent += some

    def _send_some(self) -> int:
        """Send the next texts, those that are there already left out; gives how many they are."""
        place = self._server.place
        mark, keys, vectors = self._table.after(
            self._embedder.name, self._table.sent(place), _SENT_AT_ONCE
        )
        missing = set(self._server.missing(keys))
        rows = [row for row, key in enumerate(keys) if key in missing]
        if rows:
            self._server.add([keys[row] for row in rows], vectors[rows])
        if keys:
            self._table.mark_sent(place, mark, keys[-1])
        return len(keys)

    @contextmanager
    def _tried(self) -> Iterator[None]:
        """Go on without the server when it is away; ``problem`` then says why."""
        try:
            yield
        except VectorIndexError as error:
            self._problem = str(error)
        else:
            self._problem = ""
