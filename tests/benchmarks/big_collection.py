"""A collection of 50,000 chunks in 10,000 files, and an embedder that is quick enough for it.

Words follow Zipf's law, most of a file's words are its topic's, and a text's vector is the sum of
its words': texts of a topic lie together and all share a direction, as real embeddings do.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILES = 10_000
SECTIONS = 5
"""Sections of a file; each is a chunk."""
CHUNKS = FILES * SECTIONS

_WORDS = 30_000
_TOPICS = 250
_TOPIC_WORDS = 600
_SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in ("a", "e", "i", "o", "u", "an", "er", "is")]


class ClusterEmbedder:
    """Embeds a text as the sum of its words' random vectors: 384 dimensions, length 1."""

    name = "clusters@1"
    dimensions = 384
    max_tokens = 200

    def __init__(self) -> None:
        self._words: dict[str, NDArray[np.float32]] = {}
        self.loaded = False

    def load(self) -> None:
        self.loaded = True

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [4 * (text.count(" ") + text.count("\n") + 1) // 3 for text in texts]

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.load()
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> NDArray[np.float32]:
        self.load()
        words = [self._word(word) for word in re.findall(r"\w+", text.lower())]
        total = np.sum(words, axis=0) if words else self._word("")
        return (total / np.linalg.norm(total)).astype(np.float32)

    def _word(self, word: str) -> NDArray[np.float32]:
        if word not in self._words:
            random = np.random.default_rng(zlib.crc32(word.encode()))
            self._words[word] = random.standard_normal(self.dimensions, np.float32)
        return self._words[word]


class Writer:
    """Writes words of topics, the same for a seed."""

    def __init__(self, seed: int = 3) -> None:
        self._random = np.random.default_rng(seed)
        shapes = self._random.integers(0, len(_SYLLABLES), (2 * _WORDS, 4))
        sizes = self._random.integers(1, 5, 2 * _WORDS)
        made = (
            "".join(_SYLLABLES[s] for s in shape[:size])
            for shape, size in zip(shapes, sizes, strict=True)
        )
        self._vocabulary = np.array(list(dict.fromkeys(made))[:_WORDS])
        self._topics = [
            self._random.choice(len(self._vocabulary), _TOPIC_WORDS, replace=False)
            for _ in range(_TOPICS)
        ]

    def words(self, topic: int, count: int) -> str:
        """Write words: two fifths of them anybody's, the rest of a topic."""
        general = self._ranks(count, len(self._vocabulary))
        own = self._topics[topic % _TOPICS][self._ranks(count, _TOPIC_WORDS)]
        chosen = np.where(self._random.random(count) < 0.4, general, own)
        return " ".join(self._vocabulary[chosen])

    def note(self, number: int) -> str:
        """Write a note of a title and some sections."""
        topic = int(self._random.integers(_TOPICS))
        parts = [f"# {self.words(topic, 3)} {number}"]
        for _ in range(SECTIONS):
            length = int(self._random.integers(85, 110))
            parts.append(f"## {self.words(topic, 3)}\n\n{self.words(topic, length)}.")
        return "\n\n".join(parts) + "\n"

    def queries(self, count: int) -> list[str]:
        """Write questions of a few words of one topic."""
        return [
            self.words(int(self._random.integers(_TOPICS)), int(self._random.integers(4, 10)))
            for _ in range(count)
        ]

    def _ranks(self, count: int, most: int) -> NDArray[np.int64]:
        """Draw ranks by Zipf's law."""
        return (most ** self._random.random(count)).astype(np.int64) - 1


def write_notes(folder: Path, files: int = FILES) -> None:
    """Write the notes, dated back so that their times can be trusted at once."""
    writer = Writer()
    for number in range(files):
        path = folder / f"{number % 100:02}" / f"note{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(writer.note(number))
        os.utime(path, ns=(10**18, 10**18))
