"""Test collections in the layout of BEIR, their documents as notes, and TREC runs.

Source: Thakur et al., "BEIR: A heterogeneous benchmark for zero-shot evaluation of information
retrieval models", 2021; the run format is that of trec_eval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from retrieval.errors import EvaluationError
from retrieval.evaluation.json_lines import lines, records, text_of

QRELS = ("qrels.tsv", "qrels/test.tsv")
"""Where the judgments may be; the first that is there is read."""

_HEADER = ["query-id", "corpus-id", "score"]
_NAME_BYTES = 200  # File systems take 255 in a name.
_PLAIN_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_STEM = "-"  # The title of a note without one; no term for BM25.
_REMEDY = "A data set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv, as BEIR has them."


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus."""

    title: str
    """Its title on one line; may be empty."""
    text: str
    """Its text; may be empty."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A test collection."""

    documents: Mapping[str, Document]
    """The corpus, by id."""
    queries: Mapping[str, str]
    """The queries that have a relevant document, by id; the others say nothing of a ranking."""
    judgments: Mapping[str, Mapping[str, int]]
    """For each of those queries the grades of its judged documents; above 0 is relevant."""
    notices: tuple[str, ...]
    """What the person should know of the data."""


def read_dataset(folder: Path) -> Dataset:
    """Read a data set. Raises ``EvaluationError`` that names the file and line."""
    if not folder.is_dir():
        raise EvaluationError(f"There is no folder {folder}.", _REMEDY)
    corpus, asked = folder / "corpus.jsonl", folder / "queries.jsonl"
    documents = {name: _document(record, where) for name, record, where in records(corpus, _REMEDY)}
    queries = {
        name: text_of(record, "text", where, _REMEDY)
        for name, record, where in records(asked, _REMEDY)
    }
    judgments = _judgments(_qrels(folder), queries)
    relevant = {q: g for q, g in judgments.items() if any(grade > 0 for grade in g.values())}
    if not relevant:
        raise EvaluationError(f"No query of {folder} has a relevant document.", _REMEDY)
    unknown = {d for grades in relevant.values() for d in grades if d not in documents}
    notices = []
    if unknown:
        notices.append(
            f"{len(unknown)} judged documents are not in the corpus, {min(unknown)} for one; "
            "relevant ones count as not found."
        )
    if len(relevant) < len(queries):
        left_out = len(queries) - len(relevant)
        notices.append(f"{left_out} of {len(queries)} queries have no relevant document: left out.")
    kept = {query: text for query, text in queries.items() if query in relevant}
    return Dataset(documents, kept, relevant, tuple(notices))


def note_path(document_id: str) -> str:
    """Give the path of the folder of a document's note; ``document_id`` reads it back.

    Whatever the id, the path is safe: no hidden, overlong or climbing part, and no two that
    differ by case alone.
    """
    data = document_id.encode("utf-8", "surrogatepass")
    name = "".join(chr(b) if b in _PLAIN_BYTES else f"%{b:02x}" for b in data)
    return "/".join(name[i : i + _NAME_BYTES] for i in range(0, len(name), _NAME_BYTES))


def document_id(path: str) -> str:
    """Give the id of the document whose note has a path relative to the corpus folder."""
    name = path.rpartition("/")[0].replace("/", "")
    return unquote(name, "utf-8", "surrogatepass")


def write_corpus(documents: Mapping[str, Document], folder: Path) -> None:
    """Write documents as notes, one folder each, and delete the notes of any others.

    A title becomes a Markdown heading; a document without one becomes plain text under a name
    that adds no word to it. What is there already and reads the same is left alone.
    """
    wanted: dict[Path, bytes] = {}
    for name, document in documents.items():
        suffix = ".md" if document.title else ".txt"
        text = f"# {document.title}\n\n{document.text}" if document.title else document.text
        data = text.replace("\0", " ").encode("utf-8", "replace")
        wanted[folder / note_path(name) / f"{_STEM}{suffix}"] = data
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in [p for p in folder.rglob(f"{_STEM}.*") if p not in wanted]:
            path.unlink()
        for path, data in wanted.items():
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    except OSError as error:
        raise EvaluationError(
            f"The corpus cannot be written to {folder} ({error.strerror}).",
            "Check that there is space, and that the folder may be written to.",
        ) from error


def write_run(path: Path, rankings: Mapping[str, Sequence[tuple[str, float]]], tag: str) -> None:
    """Write rankings of (document id, score), best first, as a TREC run.

    Raises ``EvaluationError`` when the file cannot be written or an id has a space in it.
    """
    rows = []
    for query, ranking in rankings.items():
        for rank, (document, score) in enumerate(ranking, start=1):
            if re.search(r"\s", query + document) or not query or not document:
                raise EvaluationError(
                    f"The ids {query!r} and {document!r} do not fit a TREC run.",
                    "Its columns are set apart by spaces: ids must have none, and not be empty.",
                )
            rows.append(f"{query} Q0 {document} {rank} {score!r} {tag}\n")
    try:
        path.write_text("".join(rows), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise EvaluationError(
            f"The run {path} cannot be written ({error.strerror}).",
            "Give --run the beginning of a path in a folder that may be written to.",
        ) from error


def _document(record: Mapping[str, object], where: str) -> Document:
    title = text_of({"title": record.get("title") or ""}, "title", where, _REMEDY)
    return Document(" ".join(title.split()), text_of(record, "text", where, _REMEDY))


def _qrels(folder: Path) -> Path:
    found = (folder / name for name in QRELS if (folder / name).exists())
    return next(found, folder / QRELS[0])


def _judgments(path: Path, queries: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Read qrels: query id, document id and grade, set apart by tabs, below a header."""
    judgments: dict[str, dict[str, int]] = {}
    header = True
    for line, where in lines(path, _REMEDY):
        cells = [cell.strip() for cell in line.split("\t")]
        if header:
            if cells != _HEADER:
                raise EvaluationError(
                    f"{where}: the header is not query-id, corpus-id, score, set apart by tabs.",
                    _REMEDY,
                )
            header = False
            continue
        if len(cells) != 3 or not re.fullmatch(r"[+-]?[0-9]{1,9}", cells[2]):
            raise EvaluationError(
                f"{where}: it is not a query id, a document id and a whole number, set apart by "
                "tabs.",
                _REMEDY,
            )
        query, document, grade = cells[0], cells[1], int(cells[2])
        if query not in queries:
            raise EvaluationError(f"{where}: queries.jsonl has no query {query}.", _REMEDY)
        if judgments.setdefault(query, {}).setdefault(document, grade) != grade:
            raise EvaluationError(f"{where}: {document} has two grades for {query}.", _REMEDY)
    return judgments
