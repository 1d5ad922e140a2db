"""Rerankers: cross-encoders in a folder, and the time they are given.

A cross-encoder reads a question and a passage together. That is far better than comparing two
vectors and far slower, so it gets the first places only, in their order, until its time is up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from retrieval.errors import EmbedderError
from retrieval.sentence_models.model_folder import require_transformer, safe_weights
from retrieval.types import Reranker

_MOST_TEXTS = 16
_LEAST_WORK = 400
"""Characters that a shorter question and passage are counted as: they take hardly less time."""
_SHARE = 0.5
"""Share of the time left that a batch may take by its estimate: estimates err."""


def rerank(
    reranker: Reranker,
    query: str,
    texts: Sequence[str],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[float]:
    """Score the first texts, as many as there is time for: at least one score, at most all.

    The time begins when the model is in memory. Batches are of neighbouring ranks; each is as
    large as the pace so far (seconds per character) allows, and none begins that is not expected
    to end in time. Raises ``EmbedderError`` when the model cannot be loaded.
    """
    reranker.load()
    scores: list[float] = []
    started = clock()
    pace = 0.0
    while len(scores) < len(texts):
        left = seconds - (clock() - started)
        size = _size(query, texts[len(scores) :], left, pace) if scores else 1
        if size == 0:
            break
        batch = texts[len(scores) : len(scores) + size]
        began = clock()
        scores += reranker.score(query, batch)
        pace = (clock() - began) / _work(query, batch)
    return scores


def _size(query: str, texts: Sequence[str], left: float, pace: float) -> int:
    """Choose how many of the texts to score next; 0 when not even one would end in time."""
    if left <= 0:
        return 0
    size = 0
    while size < min(len(texts), _MOST_TEXTS):
        needed = pace * _work(query, texts[: size + 1])
        if needed > (left if size == 0 else left * _SHARE):
            break
        size += 1
    return size


def _work(query: str, texts: Sequence[str]) -> int:
    """Measure a batch by its characters, padding to the longest included."""
    return max(len(query) + max(map(len, texts)), _LEAST_WORK) * len(texts)


class CrossEncoderReranker:
    """A cross-encoder of sentence-transformers in a folder. Threads may share it."""

    def __init__(self, directory: Path, name: str = "") -> None:
        """Look at the folder; loads nothing. Raises ``EmbedderError`` when it holds no reranker."""
        self._directory = directory
        self._name = name or directory.name
        self._lock = threading.Lock()
        self._model: Any = None
        require_transformer(directory)
        safe_weights(directory)

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._name

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._model is not None

    def load(self) -> None:
        """Load the model; idempotent. Raises ``EmbedderError``."""
        with self._lock:
            if self._model is None:
                self._model = self._loaded()

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """Score each text as an answer to the query: from 0 to 1, more is better."""
        if not texts:
            return []
        self.load()
        with self._lock:  # Its tokenizer cannot be used from two threads at once.
            return self._scores(query, texts)

    def _loaded(self) -> Any:  # noqa: ANN401 - torch's types stay in here
        from retrieval.sentence_models import torch_models

        try:
            model, _ = torch_models.load_on(
                lambda place: torch_models.load_cross_encoder(self._directory, place),
                torch_models.choose_placement(torch_models.accelerators()),
            )
        except Exception as error:
            raise EmbedderError(
                f"The reranker {self._name} cannot be loaded ({type(error).__name__}: {error}).",
                f"Download it again: alcove embedders download {self._name}",
            ) from error
        if model.num_labels != 1:
            raise EmbedderError(
                f"{self._name} is no reranker: it gives {model.num_labels} scores for a passage.",
                "Take another: alcove embedders list names some that are known to work.",
            )
        model.predict([("warm", "up")], show_progress_bar=False)  # Prepares weights and threads.
        return model

    def _scores(self, query: str, texts: Sequence[str]) -> list[float]:
        from retrieval.sentence_models import torch_models

        pairs = [(query, text) for text in texts]
        options = {"batch_size": len(pairs), "show_progress_bar": False}
        try:
            found = self._model.predict(pairs, **options)
        except Exception as error:
            if not torch_models.is_out_of_memory(error):
                raise
            self._model = self._model.to("cpu").float()
            found = self._model.predict(pairs, **options)
        return [float(score) for score in found]
