"""The sample notes, indexed once for every question that is asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.embedding import bundled_embedder
from retrieval.library import Library
from retrieval.types import Query

SAMPLE_NOTES = Path(__file__).resolve().parents[2] / "app" / "sample_notes"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    library = Library(tmp_path_factory.mktemp("index"), bundled_embedder())
    library.index(SAMPLE_NOTES)
    yield library
    library.close()


def reciprocal_rank(library: Library, query: Query, path: str) -> float:
    """Give 1 / rank of a note among the notes that a query finds; 0 when it is not there."""
    result = library.search(query)
    paths = list(dict.fromkeys(passage.chunk.note_path for passage in result.passages))
    return 1 / (paths.index(path) + 1) if path in paths else 0.0
