"""Asks again the questions that a person marked sources for, and measures what is found.

The present index is searched and nothing is written. A question is asked where its sources were:
in the folders that its marks name, as the app asks it of the folder that is open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from app.judgments import Judgment, text_digest
from app.types import Searcher
from retrieval.errors import EvaluationError, IndexMissingError
from retrieval.evaluation.measures import ndcg, recall, reciprocal_rank
from retrieval.evaluation.systems import (
    Comparison,
    Search,
    System,
    SystemResult,
    compare,
    measure,
)
from retrieval.types import DEPTH, Chunk, Query, Report, ignore_progress

FIRST = 10
"""Notes, or passages, from the top that count."""

FEW = 5
"""Questions below which the figures say little."""

BAD = f"bad@{FIRST}"
"""Name of the count of notes marked bad among the first; the fewer the better."""

_NOTE_DEPTH = 1_000  # Chunks of one note that are looked through for a marked passage.

_Note: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SkippedQuestion:
    """A question that could not be asked again."""

    question: str
    """The question."""
    reason: str
    """Why, in words for the person."""


@dataclass(frozen=True, slots=True)
class PersonalEvaluation:
    """How well the marked sources are found today."""

    systems: tuple[SystemResult, ...]
    """Results in the order asked for. Measures by note, ``bad@10``, and, over the questions with a
    good passage that still reads as it did, measures by passage."""
    comparisons: tuple[Comparison, ...]
    """What fusing and reranking gain, where both were measured."""
    questions: int
    """Questions that were asked."""
    passage_questions: int
    """Those of them that have a good passage which still reads as it did."""
    skipped: tuple[SkippedQuestion, ...]
    """Questions that were not."""
    notices: tuple[str, ...]
    """What the person should know."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A question with what is known of its sources."""

    question: str
    context: str
    folders: tuple[str, ...]
    notes: Mapping[str, int]
    passages: Mapping[str, int]


def evaluate_personal(
    judgments: Sequence[Judgment],
    searcher: Searcher,
    systems: Sequence[System],
    required: bool = False,
    report: Report = ignore_progress,
) -> PersonalEvaluation:
    """Measure each system on the questions with a source marked good.

    A system that cannot take part is left out with a notice, unless it is ``required``. Raises
    ``EvaluationError`` then, or when none can, and what searching raises.
    """
    keywords_only = set(systems) <= {"bm25"}
    groups: dict[tuple[str, str], list[Judgment]] = {}
    for judgment in judgments:
        groups.setdefault((judgment.question, judgment.context), []).append(judgment)
    cases: dict[str, _Case] = {}
    skipped: list[SkippedQuestion] = []
    notices: dict[str, None] = {}
    for (question, _), marks in groups.items():
        case, gone = _case(marks, searcher, keywords_only)
        if case is None:
            skipped.append(SkippedQuestion(question, " ".join(gone) or "No source is marked good."))
            continue
        cases[str(len(cases))] = case
        notices.update(dict.fromkeys(gone))
    results = _measure_all(cases, searcher.search, systems, required, report, notices)
    if 0 < len(cases) < FEW:
        notices[f"{len(cases)} of your questions is little to go by: mark more sources."] = None
    return PersonalEvaluation(
        systems=results,
        comparisons=compare(results),
        questions=len(cases),
        passage_questions=sum(any(case.passages.values()) for case in cases.values()),
        skipped=tuple(skipped),
        notices=tuple(notices),
    )


def _measure_all(
    cases: Mapping[str, _Case],
    search: Search,
    systems: Sequence[System],
    required: bool,
    report: Report,
    notices: dict[str, None],
) -> tuple[SystemResult, ...]:
    """Measure every system that can take part; what is to be said is added to the notices."""
    results: list[SystemResult] = []
    failure: EvaluationError | None = None

    def score(asked: Search, name: str) -> dict[str, float]:
        return _scores(asked, cases[name])

    for system in systems if cases else ():
        try:
            result = measure(system, search, list(cases), score, report)
        except EvaluationError as error:
            if required:
                raise
            failure = error
            notices[error.title] = None
            continue
        results.append(result)
        notices.update(dict.fromkeys(result.notices))
    if failure is not None and not results:
        raise failure
    return tuple(results)


def _scores(search: Search, case: _Case) -> dict[str, float]:
    """Ask a question and hold what is found against the marks."""
    query = Query(case.question, k=2 * DEPTH, folders=case.folders, context=case.context)
    chunks = [passage.chunk for passage in search(query).passages]
    notes = list(dict.fromkeys(_note_id(c.folder, c.note_path) for c in chunks))
    scores = {
        f"nDCG@{FIRST}": ndcg(notes, case.notes, FIRST),
        f"recall@{FIRST}": recall(notes, case.notes, FIRST),
        f"MRR@{FIRST}": reciprocal_rank(notes, case.notes, FIRST),
        BAD: float(sum(case.notes.get(note) == 0 for note in notes[:FIRST])),
    }
    if any(case.passages.values()):
        passages = list(dict.fromkeys(map(_passage_id, chunks)))
        scores |= {
            f"passage nDCG@{FIRST}": ndcg(passages, case.passages, FIRST),
            f"passage recall@{FIRST}": recall(passages, case.passages, FIRST),
            f"passage MRR@{FIRST}": reciprocal_rank(passages, case.passages, FIRST),
        }
    return scores


def _case(
    marks: Sequence[Judgment], searcher: Searcher, keywords_only: bool
) -> tuple[_Case | None, list[str]]:
    """Find what is left of a question's good sources; gives nothing, and why, when none is."""
    gone: list[str] = []
    notes: dict[str, int] = {}
    passages: dict[str, int] = {}
    present: dict[_Note, frozenset[str]] = {}
    for mark in (m for m in marks if m.verdict == "good"):
        note = (mark.folder, mark.note_path)
        if note not in present:
            found, reason = _passages_of(mark, searcher, keywords_only)
            present[note] = found
            gone += [reason] if reason else []
        if present[note]:
            notes[_note_id(*note)] = 1
        passage = _mark_id(mark)
        if passage in present[note]:
            passages[passage] = 1
    if not notes:
        return None, gone
    for mark in (m for m in marks if m.verdict == "bad"):
        notes.setdefault(_note_id(mark.folder, mark.note_path), 0)
        passages.setdefault(_mark_id(mark), 0)
    folders = dict.fromkeys(m.folder for m in marks if present.get((m.folder, m.note_path)))
    return _Case(marks[0].question, marks[0].context, tuple(folders), notes, passages), gone


def _passages_of(
    mark: Judgment, searcher: Searcher, keywords_only: bool
) -> tuple[frozenset[str], str]:
    """Give the passages of a marked note that the index holds, or why it holds none."""
    file = Path(mark.folder, mark.note_path)
    words = " ".join(re.findall(r"\w+", " ".join((mark.note_path, *mark.headings, mark.question))))
    query = Query(
        words,
        k=_NOTE_DEPTH,
        leg="bm25" if keywords_only else "hybrid",
        folders=(str(file),),
        depth=_NOTE_DEPTH,
    )
    try:
        result = searcher.search(query)
    except IndexMissingError as error:
        return frozenset(), error.title
    if result.passages:
        return frozenset(_passage_id(p.chunk) for p in result.passages), ""
    if not Path(mark.folder).is_dir():
        return frozenset(), f"The folder {mark.folder} is not there."
    if not file.exists():
        return frozenset(), f"The note {file} is gone."
    return frozenset(), f"The index holds nothing of {file}."


def _note_id(folder: str, path: str) -> str:
    return f"{folder}\0{path}"


def _passage_id(chunk: Chunk) -> str:
    return f"{chunk.folder}\0{chunk.note_path}\0{text_digest(chunk.text)}"


def _mark_id(mark: Judgment) -> str:
    return f"{mark.folder}\0{mark.note_path}\0{mark.text_digest}"
