"""What the parts of retrieval ask of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from retrieval.types.results import Hit, Leg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Protocol):
    """Turns text into unit vectors.

    ``count_tokens`` must not load the model: chunking calls it before torch is there.
    """

    @property
    def name(self) -> str:
        """Name with the weights' version: vectors of different names are never compared."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads; what lies beyond is lost to the vector."""

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory, so that a query is quick."""

    def load(self) -> None:
        """Load the model; idempotent. Raises ``EmbedderError``."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special tokens left out."""

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts to be found: shape (len(texts), dimensions), rows of length 1."""

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed a question: shape (dimensions,), length 1."""


class ChunkIndex(Protocol):
    """One leg: ranks the chunks it holds against a query."""

    @property
    def leg(self) -> Leg:
        """Which leg this is."""

    def __len__(self) -> int:
        """Count the chunks held."""

    def search(
        self,
        query: str,
        depth: int,
        folders: Sequence[str] = (),
        within: frozenset[str] | None = None,
    ) -> list[Hit]:
        """Rank at most ``depth`` chunks, best first.

        Those of the folders (all when empty), and of them those with an id in ``within``.
        """


class Reranker(Protocol):
    """Scores a query and a passage together, which is slower and better than a leg."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""

    def load(self) -> None:
        """Load the model; idempotent. Raises ``EmbedderError``."""

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score each text as an answer to the query: from 0 to 1, more is better."""
