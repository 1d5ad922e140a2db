"""Measures how well the chunks that a search gives cover the passages that answer a question.

The folder of texts is indexed as any folder is, and every question is asked of all of them
together. Source of the measures and of the data's layout: see ``retrieval.evaluation.spans``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import EvaluationError
from retrieval.evaluation.evaluate import index_alone
from retrieval.evaluation.json_lines import records, text_of
from retrieval.evaluation.spans import Span, locate, precision_omega, span_scores
from retrieval.evaluation.systems import (
    Comparison,
    Score,
    Search,
    System,
    SystemResult,
    compare,
    measure,
)
from retrieval.library import Library
from retrieval.notes import resolve_folder
from retrieval.queries.query import as_words
from retrieval.types import Query, Report, ignore_progress

_REMEDY = (
    "Such a folder has questions.jsonl, each line with _id, text, corpus_id and references "
    "([[first, end], ...] in characters), and the texts as corpora/<corpus_id>.md."
)


@dataclass(frozen=True, slots=True)
class SpanQuestion:
    """A question with the passages that answer it."""

    text: str
    """The question."""
    corpus: str
    """Id of the text that answers it."""
    references: tuple[Span, ...]
    """The passages, as characters of that text."""


@dataclass(frozen=True, slots=True)
class SpanDataset:
    """Texts and questions about them."""

    folder: Path
    """The folder that holds the texts."""
    texts: Mapping[str, str]
    """The texts by id; the file of each is ``<id>.md``."""
    questions: Mapping[str, SpanQuestion]
    """The questions by id."""


@dataclass(frozen=True, slots=True)
class ChunkEvaluation:
    """What an evaluation of chunks found."""

    systems: tuple[SystemResult, ...]
    """Results in the order asked for; measures are ``recall@k``, ``precision@k``, ``IoU@k``."""
    comparisons: tuple[Comparison, ...]
    """What fusing and reranking gain, where they were asked for."""
    texts: int
    """Texts indexed."""
    chunks: int
    """Their chunks."""
    characters: float
    """Mean length of a chunk in characters."""
    precision_omega: float
    """Mean precision of retrieving exactly the chunks that hold some of the references."""
    indexing_seconds: float
    """Wall time of bringing the index up to date."""
    notices: tuple[str, ...]
    """What the person should know."""


def read_span_dataset(folder: Path) -> SpanDataset:
    """Read questions and texts. Raises ``EvaluationError`` that names the file and line."""
    if not folder.is_dir():
        raise EvaluationError(f"There is no folder {folder}.", _REMEDY)
    texts: dict[str, str] = {}
    questions: dict[str, SpanQuestion] = {}
    for name, record, where in records(folder / "questions.jsonl", _REMEDY):
        corpus = text_of(record, "corpus_id", where, _REMEDY)
        if corpus not in texts:
            texts[corpus] = _text(folder, corpus, where)
        references = _references(record.get("references"), len(texts[corpus]), where)
        questions[name] = SpanQuestion(text_of(record, "text", where, _REMEDY), corpus, references)
    if not questions:
        raise EvaluationError(f"{folder / 'questions.jsonl'} has no questions.", _REMEDY)
    return SpanDataset(resolve_folder(folder / "corpora"), texts, questions)


def evaluate_chunks(
    data: SpanDataset,
    library: Library,
    systems: Sequence[System],
    k: int = 5,
    report: Report = ignore_progress,
) -> ChunkEvaluation:
    """Index the texts and measure the first ``k`` chunks of each system.

    The library is the evaluation's own: other folders in it are forgotten. Raises
    ``EvaluationError`` and what indexing and searching raise.
    """
    indexed = index_alone(library, data.folder, systems, report)
    spans = {name: _spans(data, library, name) for name in data.texts}
    results = tuple(
        measure(system, library.search, list(data.questions), _scorer(data, spans, k), report)
        for system in systems
    )
    lengths = [end - first for found in spans.values() for first, end in found.values()]
    omegas = [
        precision_omega(list(spans[question.corpus].values()), question.references)
        for question in data.questions.values()
    ]
    others = indexed.chunks - len(lengths)
    notices = []
    if others:
        what = "1 chunk is" if others == 1 else f"{others} chunks are"
        notices.append(f"{what} of texts that no question is about.")
    return ChunkEvaluation(
        systems=results,
        comparisons=compare(results),
        texts=len(data.texts),
        chunks=indexed.chunks,
        characters=sum(lengths) / len(lengths),
        precision_omega=sum(omegas) / len(omegas),
        indexing_seconds=indexed.seconds,
        notices=tuple(dict.fromkeys([*notices, *(n for r in results for n in r.notices)])),
    )


def _scorer(data: SpanDataset, spans: Mapping[str, Mapping[str, Span]], k: int) -> Score:
    """Give what scores the first ``k`` chunks found for a question."""

    def score(search: Search, name: str) -> dict[str, float]:
        question = data.questions[name]
        here: list[Span] = []
        elsewhere = 0
        for passage in search(Query(as_words(question.text), k=k)).passages:
            chunk = passage.chunk
            if chunk.note_path == _file(question.corpus):
                here.append(spans[question.corpus][chunk.id])
            else:
                elsewhere += len(chunk.text)
        scores = span_scores(here, question.references, elsewhere)
        return {
            f"recall@{k}": scores.recall,
            f"precision@{k}": scores.precision,
            f"IoU@{k}": scores.iou,
        }

    return score


def _spans(data: SpanDataset, library: Library, name: str) -> dict[str, Span]:
    """Find every chunk of a text in it, by id."""
    chunks = library.chunks(data.folder, _file(name))
    spans = locate(data.texts[name], chunks)
    lost = [chunk for chunk in chunks if chunk.id not in spans]
    if lost or not chunks:
        what = f"line {lost[0].first_line} of " if lost else ""
        raise EvaluationError(
            f"The chunks of {what}{data.folder / _file(name)} cannot be found in it.",
            "Look at the file; if it was changed just now, run the same command again.",
        )
    return spans


def _text(folder: Path, corpus: str, where: str) -> str:
    """Read a text as the index reads it."""
    path = folder / "corpora" / _file(corpus)
    if Path(corpus).name != corpus or corpus.startswith("."):
        raise EvaluationError(f"{where}: the corpus_id {corpus!r} is not a file's name.", _REMEDY)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise EvaluationError(f"{where}: there is no file {path}.", _REMEDY) from error
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read ({error.strerror}).", _REMEDY) from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path} is not UTF-8 text.", _REMEDY) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _references(value: object, length: int, where: str) -> tuple[Span, ...]:
    """Read the spans of a question; they lie in a text of so many characters."""
    spans = value if isinstance(value, list) else []
    for span in spans:
        numbers = isinstance(span, list) and len(span) == 2 and all(type(n) is int for n in span)
        if not numbers or not 0 <= span[0] < span[1] <= length:
            raise EvaluationError(
                f"{where}: the reference {span} is not two whole numbers, first character and "
                f"end, within the {length:,} characters of the text.",
                _REMEDY,
            )
    if not spans:
        raise EvaluationError(f"{where}: it has no references.", _REMEDY)
    return tuple((first, end) for first, end in spans)


def _file(corpus: str) -> str:
    return f"{corpus}.md"
