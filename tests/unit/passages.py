"""Passages for unit tests of what reads them."""

from retrieval.types import Chunk, Contribution, Passage


def passage(
    text: str,
    *,
    rank: int = 1,
    path: str = "note.md",
    title: str = "A note",
    first_line: int = 1,
    headings: tuple[str, ...] = (),
) -> Passage:
    """Make the passage that stands at this rank of the keyword leg."""
    last_line = first_line + text.count("\n")
    chunk = Chunk(
        f"{path}:{first_line}", "/notes", path, title, headings, text, first_line, last_line
    )
    score = 1 / (60 + rank)
    return Passage(chunk, score, (Contribution("bm25", rank, 1.0, score, 10.0 / rank),))
