"""How ``alcove eval`` shows what it found: tables for people, JSON for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.cli.output import columns, say
from app.format import plural

if TYPE_CHECKING:
    from app.personal import PersonalEvaluation
    from retrieval.evaluation.evaluate import Evaluation
    from retrieval.evaluation.evaluate_chunks import ChunkEvaluation
    from retrieval.evaluation.systems import Comparison, SystemResult


def evaluation_json(evaluation: Evaluation, dataset: str) -> dict[str, object]:
    """Build the document that ``eval --json`` prints."""
    return {
        "dataset": dataset,
        "documents": evaluation.documents,
        "chunks": evaluation.chunks,
        "queries": evaluation.systems[0].queries,
        **_figures_json(evaluation.systems, evaluation.comparisons),
        "indexing_seconds": round(evaluation.indexing_seconds, 3),
        "notices": list(evaluation.notices),
    }


def print_evaluation(evaluation: Evaluation) -> None:
    """Print what an evaluation on a data set found."""
    queries = evaluation.systems[0].queries
    say(
        f"{plural(evaluation.documents, 'document')} in {plural(evaluation.chunks, 'chunk')},"
        f" {queries:,} {'query' if queries == 1 else 'queries'}"
    )
    _print_figures(evaluation.systems, evaluation.comparisons)


def chunks_json(evaluation: ChunkEvaluation, dataset: str, k: int) -> dict[str, object]:
    """Build the document that ``eval --chunks --json`` prints."""
    return {
        "dataset": dataset,
        "texts": evaluation.texts,
        "chunks": evaluation.chunks,
        "chunk_characters": evaluation.characters,
        "questions": evaluation.systems[0].queries,
        "k": k,
        "precision_omega": evaluation.precision_omega,
        **_figures_json(evaluation.systems, evaluation.comparisons),
        "indexing_seconds": round(evaluation.indexing_seconds, 3),
        "notices": list(evaluation.notices),
    }


def print_chunks(evaluation: ChunkEvaluation) -> None:
    """Print what an evaluation of chunks found."""
    say(
        f"{plural(evaluation.texts, 'text')} in {plural(evaluation.chunks, 'chunk')} of"
        f" {evaluation.characters:.0f} characters on average,"
        f" {plural(evaluation.systems[0].queries, 'question')}"
    )
    say(f"precision of exactly the chunks that hold an answer: {evaluation.precision_omega:.4f}")
    _print_figures(evaluation.systems, evaluation.comparisons)


def personal_json(evaluation: PersonalEvaluation) -> dict[str, object]:
    """Build the document that ``eval --mine --json`` prints."""
    return {
        "questions": evaluation.questions,
        "passage_questions": evaluation.passage_questions,
        "skipped": [
            {"question": item.question, "reason": item.reason} for item in evaluation.skipped
        ],
        **_figures_json(evaluation.systems, evaluation.comparisons),
        "notices": list(evaluation.notices),
    }


def print_personal(evaluation: PersonalEvaluation) -> None:
    """Print what an evaluation on the person's own questions found."""
    say(
        f"{evaluation.questions:,} of your questions; in {evaluation.passage_questions:,} a passage"
        " that you marked good still reads as it did"
    )
    _print_figures(evaluation.systems, evaluation.comparisons)


def _figures_json(
    systems: Sequence[SystemResult], comparisons: Sequence[Comparison]
) -> dict[str, object]:
    return {
        "legs": {
            result.system: {
                **{name: result.mean(name) for name in result.scores},
                "seconds": round(result.seconds, 3),
            }
            for result in systems
        },
        "comparisons": [
            {
                "leg": item.system,
                "against": item.against,
                "measure": item.measure,
                "difference": item.difference,
                "p": item.p,
            }
            for item in comparisons
        ],
    }


def _print_figures(systems: Sequence[SystemResult], comparisons: Sequence[Comparison]) -> None:
    """Print a table of the means, and one of what each system gains; passages by themselves."""
    measures = list(systems[0].scores) if systems else []
    by_passage = [name for name in measures if name.startswith("passage ")]
    for names in ([name for name in measures if name not in by_passage], by_passage):
        if names:
            _print_means(systems, names)
            _print_gains(comparisons, names)


def _print_means(systems: Sequence[SystemResult], measures: Sequence[str]) -> None:
    rows = [["", *measures]]
    for result in systems:
        rows.append([result.system, *(f"{result.mean(name):.4f}" for name in measures)])
    say()
    for line in columns(rows):
        say(line)


def _print_gains(comparisons: Sequence[Comparison], measures: Sequence[str]) -> None:
    for system in dict.fromkeys(item.system for item in comparisons):
        ours = [item for item in comparisons if item.system == system]
        rows = [[f"{system} against", *measures]]
        for against in dict.fromkeys(item.against for item in ours):
            cells = {
                item.measure: f"{item.difference:+.4f} (p {item.p:.4f})"
                for item in ours
                if item.against == against
            }
            rows.append([against, *(cells[name] for name in measures)])
        say()
        for line in columns(rows):
            say(line)
