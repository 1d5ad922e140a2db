"""Measures how well an index ranks the documents of a test collection.

The documents become notes, are indexed as any folder is, and every query is asked as a person's
would be: what is measured is the search itself. A document ranks where its best chunk does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.errors import EvaluationError
from retrieval.evaluation.beir import Dataset, document_id, write_corpus
from retrieval.evaluation.measures import MEASURES
from retrieval.evaluation.systems import (
    Comparison,
    Ranking,
    Search,
    System,
    SystemResult,
    compare,
    measure,
)
from retrieval.library import Library
from retrieval.notes import resolve_folder
from retrieval.queries.query import as_words
from retrieval.types import (
    DEPTH,
    IndexReport,
    Progress,
    Query,
    Report,
    SearchResult,
    ignore_progress,
)

DOCUMENTS = 100
"""Documents that a ranking is deep, where the legs find as many."""

_MARK = ".alcove-evaluation"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found."""

    systems: tuple[SystemResult, ...]
    """Results in the order asked for."""
    comparisons: tuple[Comparison, ...]
    """What fusing and reranking gain, where they were asked for."""
    documents: int
    """Documents in the corpus."""
    chunks: int
    """Their chunks."""
    indexing_seconds: float
    """Wall time of bringing the index up to date."""
    notices: tuple[str, ...]
    """What the person should know."""


@contextmanager
def evaluation_folder(kept: Path | None) -> Iterator[Path]:
    """Give a folder for a corpus and its index: one to keep, or one that is deleted afterwards.

    Raises ``EvaluationError`` for a folder that holds anything but an earlier evaluation: notes
    in it that are not of the corpus would be deleted.
    """
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="alcove-eval-") as folder:
            yield resolve_folder(folder)
        return
    folder_kept = resolve_folder(kept)
    try:
        folder_kept.mkdir(parents=True, exist_ok=True)
        if any(folder_kept.iterdir()) and not (folder_kept / _MARK).exists():
            raise EvaluationError(
                f"{folder_kept} holds other things than the index of an evaluation.",
                "Give --index a new or empty folder, or that of an earlier evaluation.",
            )
        (folder_kept / _MARK).touch()
    except OSError as error:
        raise EvaluationError(
            f"The folder {folder_kept} cannot be used ({error.strerror}).",
            "Give --index a folder that may be written to.",
        ) from error
    yield folder_kept


def evaluate(
    data: Dataset,
    library: Library,
    corpus: Path,
    systems: Sequence[System],
    report: Report = ignore_progress,
) -> Evaluation:
    """Index the documents of a data set as notes in ``corpus`` and measure each system.

    The folder and the library are the evaluation's own: other notes in the folder are deleted,
    other folders in the library forgotten. Raises ``EvaluationError`` and what indexing and
    searching raise.
    """
    report(Progress("writing the corpus", 0, 0))
    write_corpus(data.documents, corpus)
    indexed = index_alone(library, corpus, systems, report)
    notices = dict.fromkeys(data.notices)
    if indexed.skipped:
        first = indexed.skipped[0]
        notices[
            f"{len(indexed.skipped)} documents were not indexed, {document_id(first.path)} for "
            f"one: {first.reason}."
        ] = None
    results = tuple(_measure(data, library, system, report) for system in systems)
    return Evaluation(
        systems=results,
        comparisons=compare(results),
        documents=len(data.documents),
        chunks=indexed.chunks,
        indexing_seconds=indexed.seconds,
        notices=tuple(dict.fromkeys([*notices, *(n for r in results for n in r.notices)])),
    )


def index_alone(
    library: Library, folder: Path, systems: Sequence[System], report: Report
) -> IndexReport:
    """Bring an evaluation's own index up to date with one folder, and forget any other."""
    for known in library.status().folders:
        if known != str(resolve_folder(folder)):
            library.forget(known)  # An earlier evaluation's, or this one's folder was moved.
    return library.index(folder, report, embed=any(system != "bm25" for system in systems))


def _measure(data: Dataset, library: Library, system: System, report: Report) -> SystemResult:
    """Ask every query of one system."""
    rankings: dict[str, Ranking] = {}

    def score(search: Search, query: str) -> dict[str, float]:
        rankings[query] = _rank(search, data.queries[query], system)
        documents = [document for document, _ in rankings[query]]
        return {name: f(documents, data.judgments[query]) for name, f in MEASURES.items()}

    result = measure(system, library.search, list(data.queries), score, report)
    return replace(result, rankings=rankings)


def _rank(search: Search, text: str, system: System) -> Ranking:
    """Rank documents; one leg alone is asked deeper where its chunks are of few documents.

    The fusion keeps the depth that it has for people: deeper legs would fuse otherwise.
    """
    depth = DEPTH
    while True:
        result = search(Query(as_words(text), k=2 * depth, depth=depth))
        ranking = _best_chunks(result, system)
        alone = system in {"bm25", "vector"}
        if not alone or len(ranking) >= DOCUMENTS or result.found < depth:
            return ranking
        depth *= 2


def _best_chunks(result: SearchResult, system: System) -> Ranking:
    """Give each document once, where its best chunk is.

    Scores fall with every rank: those of a reranked ranking, whose order is not that of its
    scores, are the ranks' own.
    """
    best: dict[str, float] = {}
    for rank, passage in enumerate(result.passages, start=1):
        score = 1 / rank if system == "reranked" else passage.score
        best.setdefault(document_id(passage.chunk.note_path), score)
    return list(best.items())[:DOCUMENTS]
