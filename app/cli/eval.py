"""The command ``alcove eval``: how well the search ranks, on judged questions of three kinds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.eval_report import (
    chunks_json,
    evaluation_json,
    personal_json,
    print_chunks,
    print_evaluation,
    print_personal,
)
from app.cli.output import Exit, complain, note, progress_bar, say_json
from app.tools import Tools
from retrieval.errors import EvaluationError

if TYPE_CHECKING:
    from retrieval.evaluation.systems import System

DEFAULT_K = 5
"""Chunks that ``--chunks`` looks at, as the published figures do."""

_NOTHING_MARKED = "No source is marked yet: mark sources good or bad in the app, then try again."
_ORDER: tuple[System, ...] = ("bm25", "vector", "hybrid", "reranked")


def evaluate_search(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove eval``."""
    wrong = _misused(arguments)
    if wrong:
        complain(wrong, "alcove eval --help shows what goes together.")
        return Exit.USAGE
    systems = _systems(arguments, tools)
    if arguments.mine:
        return _mine(arguments, tools, systems)
    if arguments.chunks is not None:
        return _chunks(arguments, tools, systems)
    return _dataset(arguments, tools, systems)


def _misused(arguments: argparse.Namespace) -> str:
    """Say which option makes no sense beside the others; empty when all do."""
    if arguments.k is not None and arguments.chunks is None:
        return "-k goes with --chunks alone: the other measures have their depth in their name."
    if arguments.run is not None and arguments.dataset is None:
        return "--run goes with a data set alone: it writes rankings of documents."
    if arguments.index is not None and arguments.mine:
        return "--index does not go with --mine, which searches the index that you have."
    return ""


def _systems(arguments: argparse.Namespace, tools: Tools) -> list[System]:
    """Give what is to be measured: what was asked for, or all there is."""
    configured = bool(tools.settings.search.reranker.strip())
    if arguments.legs is None:
        return [system for system in _ORDER if system != "reranked" or configured]
    if "reranked" in arguments.legs and not configured:
        raise EvaluationError(
            "There is no reranker to measure.",
            f"Name one in {tools.paths.settings}: reranker under [search].",
        )
    return [system for system in _ORDER if system in arguments.legs]


def _dataset(arguments: argparse.Namespace, tools: Tools, systems: Sequence[System]) -> Exit:
    # NumPy, which the other commands need not wait for.
    from retrieval.evaluation.beir import read_dataset, write_run
    from retrieval.evaluation.evaluate import evaluate, evaluation_folder

    prefix = arguments.run
    runs = {system: Path(f"{prefix}.{system}.trec") for system in systems if prefix is not None}
    for path in runs.values():
        if not path.parent.is_dir():
            raise EvaluationError(
                f"There is no folder {path.parent} to write the run to.", "Make it first."
            )
    data = read_dataset(arguments.dataset)
    with evaluation_folder(arguments.index) as folder, progress_bar() as report:
        library = tools.library(folder / "index")
        try:
            evaluation = evaluate(data, library, folder / "corpus", systems, report)
        finally:
            library.close()
    for result in evaluation.systems:
        if result.system in runs:
            write_run(runs[result.system], result.rankings, f"alcove-{result.system}")
    if arguments.json:
        say_json(evaluation_json(evaluation, str(arguments.dataset)))
    else:
        print_evaluation(evaluation)
    _note_all(evaluation.notices)
    return Exit.DONE


def _chunks(arguments: argparse.Namespace, tools: Tools, systems: Sequence[System]) -> Exit:
    from retrieval.evaluation.evaluate import evaluation_folder
    from retrieval.evaluation.evaluate_chunks import evaluate_chunks, read_span_dataset

    k = arguments.k or DEFAULT_K
    data = read_span_dataset(arguments.chunks)
    with evaluation_folder(arguments.index) as folder, progress_bar() as report:
        library = tools.library(folder / "index")
        try:
            evaluation = evaluate_chunks(data, library, systems, k, report)
        finally:
            library.close()
    if arguments.json:
        say_json(chunks_json(evaluation, str(arguments.chunks), k))
    else:
        print_chunks(evaluation)
    _note_all(evaluation.notices)
    return Exit.DONE


def _mine(arguments: argparse.Namespace, tools: Tools, systems: Sequence[System]) -> Exit:
    from app.judgments import Judgments
    from app.personal import PersonalEvaluation, evaluate_personal

    judgments = Judgments(tools.paths.judgments)
    marks = judgments.all()
    evaluation = PersonalEvaluation((), (), 0, 0, (), (_NOTHING_MARKED,))
    if marks:
        required = arguments.legs is not None
        notes = tools.notes()
        try:
            with progress_bar() as report:
                evaluation = evaluate_personal(marks, notes, systems, required, report)
        finally:
            notes.close()
    evaluation = replace(evaluation, notices=(*judgments.problems, *evaluation.notices))
    if arguments.json:
        say_json(personal_json(evaluation))
    elif evaluation.questions or evaluation.skipped:
        print_personal(evaluation)
        for item in evaluation.skipped:
            note(f"Left out: {item.question} ({item.reason.rstrip('.')})")
    _note_all(evaluation.notices)
    return Exit.DONE if evaluation.questions else Exit.NOTHING_FOUND


def _note_all(notices: Sequence[str]) -> None:
    for notice in notices:
        note(notice)
