"""Measures how well an index ranks the documents of a test collection.

The documents become notes, are indexed as any folder is, and every query is asked as a person's
would be: what is measured is the search itself. A document ranks where its best chunk does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrieval.beir import Dataset, document_id, write_corpus
from retrieval.errors import EvaluationError
from retrieval.library import Library
from retrieval.measures import MEASURES, randomisation_test
from retrieval.notes import resolve_folder
from retrieval.types import DEPTH, LegChoice, Progress, Query, Report, SearchResult, ignore_progress

DOCUMENTS = 100
"""Documents that a ranking is deep, where the legs find as many."""

_MARK = ".alcove-evaluation"

Ranking = Sequence[tuple[str, float]]
"""Document ids with the scores of their best chunks, best first."""


@dataclass(frozen=True, slots=True)
class LegResult:
    """How one leg, or both fused, did."""

    leg: LegChoice
    """Which."""
    rankings: Mapping[str, Ranking]
    """The ranking of each query, by its id."""
    scores: Mapping[str, Sequence[float]]
    """For each measure the score of every query, in the order of ``rankings``."""
    seconds: float
    """Wall time of all its searches."""

    def mean(self, measure: str) -> float:
        """Give the mean of a measure over the queries."""
        return sum(self.scores[measure]) / len(self.scores[measure])


@dataclass(frozen=True, slots=True)
class Comparison:
    """What fusing gains over one leg."""

    measure: str
    """Name of the measure."""
    against: LegChoice
    """The leg that the fusion is compared with."""
    difference: float
    """Mean of hybrid less mean of the leg."""
    p: float
    """Two-sided p of a paired randomisation test."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found."""

    legs: tuple[LegResult, ...]
    """Results in the order asked for."""
    comparisons: tuple[Comparison, ...]
    """Hybrid against each other leg, when it was asked for."""
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
    legs: Sequence[LegChoice],
    report: Report = ignore_progress,
) -> Evaluation:
    """Index the documents of a data set as notes in ``corpus`` and measure each leg.

    The folder and the library are the evaluation's own: other notes in the folder are deleted,
    other folders in the library forgotten. Raises ``EvaluationError`` and what indexing and
    searching raise.
    """
    report(Progress("writing the corpus", 0, 0))
    write_corpus(data.documents, corpus)
    for folder in library.status().folders:
        if folder != str(resolve_folder(corpus)):
            library.forget(folder)  # The evaluation's folder was moved since.
    indexed = library.index(corpus, report, embed=any(leg != "bm25" for leg in legs))
    notices = dict.fromkeys(data.notices)
    if indexed.skipped:
        first = indexed.skipped[0]
        notices[
            f"{len(indexed.skipped)} documents were not indexed, {document_id(first.path)} for "
            f"one: {first.reason}."
        ] = None
    results = tuple(_measure(data, library, leg, report, notices) for leg in legs)
    return Evaluation(
        legs=results,
        comparisons=_compare(results),
        documents=len(data.documents),
        chunks=indexed.chunks,
        indexing_seconds=indexed.seconds,
        notices=tuple(notices),
    )


def _measure(
    data: Dataset, library: Library, leg: LegChoice, report: Report, notices: dict[str, None]
) -> LegResult:
    """Ask every query of one leg; what searches say of themselves is added to the notices."""
    started = time.monotonic()
    rankings: dict[str, Ranking] = {}
    for done, (query, text) in enumerate(data.queries.items()):
        report(Progress(f"searching: {leg}", done, len(data.queries)))
        rankings[query] = _rank(library, text, leg, notices)
    report(Progress(f"searching: {leg}", len(data.queries), len(data.queries)))
    scores = {
        name: tuple(
            measure([document for document, _ in ranking], data.judgments[query])
            for query, ranking in rankings.items()
        )
        for name, measure in MEASURES.items()
    }
    return LegResult(leg, rankings, scores, time.monotonic() - started)


def _rank(library: Library, text: str, leg: LegChoice, notices: dict[str, None]) -> Ranking:
    """Rank documents; one leg alone is asked deeper where its chunks are of few documents.

    The fusion keeps the depth that it has for people: deeper legs would fuse otherwise.
    """
    depth = DEPTH
    while True:
        result = library.search(Query(text, k=2 * depth, leg=leg, depth=depth))
        ranking = _best_chunks(result)
        if leg == "hybrid" or len(ranking) >= DOCUMENTS or result.found < depth:
            break
        depth *= 2
    expected = {"bm25", "vector"} if leg == "hybrid" else {leg}
    if text.strip() and set(result.legs) != expected:
        raise EvaluationError(
            f"The search by {leg} could not be measured. {' '.join(result.notices)}".strip(),
            "Try again, or measure the other legs with --leg.",
        )
    notices.update(dict.fromkeys(result.notices))
    return ranking


def _best_chunks(result: SearchResult) -> Ranking:
    """Give each document once, where its best chunk is."""
    best: dict[str, float] = {}
    for passage in result.passages:
        best.setdefault(document_id(passage.chunk.note_path), passage.score)
    return list(best.items())[:DOCUMENTS]


def _compare(results: Sequence[LegResult]) -> tuple[Comparison, ...]:
    """Test hybrid against each leg that was measured too."""
    hybrid = next((result for result in results if result.leg == "hybrid"), None)
    if hybrid is None:
        return ()
    return tuple(
        Comparison(
            measure=name,
            against=other.leg,
            difference=hybrid.mean(name) - other.mean(name),
            p=randomisation_test(hybrid.scores[name], other.scores[name]),
        )
        for other in results
        if other is not hybrid
        for name in MEASURES
    )
