"""The command ``alcove eval``: how well the search ranks, on a data set with judged answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.output import Exit, columns, note, progress_bar, say, say_json
from app.tools import Tools
from retrieval.errors import EvaluationError
from retrieval.types import LegChoice

if TYPE_CHECKING:
    from retrieval.evaluate import Evaluation

_ORDER: tuple[LegChoice, ...] = ("bm25", "vector", "hybrid")


def evaluate_search(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove eval``."""
    # NumPy, which the other commands need not wait for.
    from retrieval.beir import read_dataset, write_run
    from retrieval.evaluate import evaluate, evaluation_folder

    legs = [leg for leg in _ORDER if leg in (arguments.legs or _ORDER)]
    runs = {leg: Path(f"{arguments.run}.{leg}.trec") for leg in legs if arguments.run is not None}
    for path in runs.values():
        if not path.parent.is_dir():
            raise EvaluationError(
                f"There is no folder {path.parent} to write the run to.", "Make it first."
            )
    data = read_dataset(arguments.dataset)
    with evaluation_folder(arguments.index) as folder, progress_bar() as report:
        library = tools.library(folder / "index")
        try:
            evaluation = evaluate(data, library, folder / "corpus", legs, report)
        finally:
            library.close()
    for result in evaluation.legs:
        if result.leg in runs:
            write_run(runs[result.leg], result.rankings, f"alcove-{result.leg}")
    if arguments.json:
        say_json(evaluation_json(evaluation, str(arguments.dataset)))
    else:
        _print(evaluation)
    for notice in evaluation.notices:
        note(notice)
    return Exit.DONE


def evaluation_json(evaluation: Evaluation, dataset: str) -> dict[str, object]:
    """Build the document that ``eval --json`` prints."""
    return {
        "dataset": dataset,
        "documents": evaluation.documents,
        "chunks": evaluation.chunks,
        "queries": len(evaluation.legs[0].rankings),
        "legs": {
            result.leg: {
                **{name: result.mean(name) for name in result.scores},
                "seconds": round(result.seconds, 3),
            }
            for result in evaluation.legs
        },
        "comparisons": [
            {
                "leg": "hybrid",
                "against": item.against,
                "measure": item.measure,
                "difference": item.difference,
                "p": item.p,
            }
            for item in evaluation.comparisons
        ],
        "indexing_seconds": round(evaluation.indexing_seconds, 3),
        "notices": list(evaluation.notices),
    }


def _print(evaluation: Evaluation) -> None:
    queries = len(evaluation.legs[0].rankings)
    say(f"{evaluation.documents:,} documents in {evaluation.chunks:,} chunks, {queries:,} queries")
    say()
    measures = list(evaluation.legs[0].scores)
    rows = [["", *measures]]
    for result in evaluation.legs:
        rows.append([result.leg, *(f"{result.mean(name):.4f}" for name in measures)])
    for line in columns(rows):
        say(line)
    if not evaluation.comparisons:
        return
    say()
    rows = [["hybrid against", *measures]]
    for against in dict.fromkeys(item.against for item in evaluation.comparisons):
        cells = {
            item.measure: f"{item.difference:+.4f} (p {item.p:.4f})"
            for item in evaluation.comparisons
            if item.against == against
        }
        rows.append([against, *(cells[name] for name in measures)])
    for line in columns(rows):
        say(line)
