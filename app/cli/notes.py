"""Commands about the notes: index, search, status, forget."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from app.cli.explain import explained, explanation_json
from app.cli.filtering import filters, places
from app.cli.output import Exit, columns, complain, note, progress_bar, say, say_json, stoppable
from app.format import plural
from app.safe_text import one_line, printable
from app.tools import Notes, Tools
from models.errors import ModelError
from retrieval.errors import IndexCancelled
from retrieval.notes import resolve_folder
from retrieval.storage.collections import find_folder
from retrieval.tokenizing import tokenize
from retrieval.types import Forgotten, IndexStatus, Passage, Query, SearchResult, where

SNIPPET_LINES = 4
"""Lines of a passage shown to people by ``search``: those that say most of the query."""
_LINE_CHARACTERS = 100


def index_folder(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove index``."""
    notes = tools.notes()
    try:
        with progress_bar() as report, stoppable() as stopped:
            done = notes.index(arguments.folder, report, stopped, name=arguments.name)
    except IndexCancelled as error:
        complain("Stopped.", error.remedy)
        return Exit.INTERRUPTED
    finally:
        notes.close()
    if arguments.json:
        say_json(asdict(done))
        return Exit.DONE
    counts = f"{done.added} added, {done.changed} changed, {done.removed} removed"
    say(f"{counts}, {done.unchanged} unchanged; {done.chunks:,} chunks in {done.seconds:.1f} s")
    for skip in done.skipped:
        say(f"skipped {one_line(skip.path)}: {one_line(skip.reason)}")
    for notice in done.notices:
        note(notice)
    return Exit.DONE


def search(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove search``."""
    folders, base = places(arguments)
    query = Query(
        arguments.query,
        k=arguments.k,
        leg=arguments.leg,
        folders=folders,
        base=base,
        filters=filters(arguments),
        rerank=reranks(arguments, tools),
        explain=arguments.explain,
    )
    notes = tools.notes()
    try:
        result = notes.search(query)
    finally:
        notes.close()
    if arguments.json:
        say_json(search_json(result))
    else:
        for number, passage in enumerate(result.passages, start=1):
            _print_passage(number, passage, arguments.query)
        for line in explained(result):
            say(line)
    for notice in result.notices:
        note(notice)
    if not result.passages:
        note("Nothing found. Try fewer or other words.")
        return Exit.NOTHING_FOUND
    return Exit.INDEX_STALE if result.stale else Exit.DONE


def status(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove status``."""
    places = {key: str(getattr(tools.paths, key)) for key in tools.paths.__slots__}
    now = _status_of(tools)
    model, trouble = _model_of(tools)
    if arguments.json:
        state = {**asdict(now), "complete": now.complete}
        say_json({**state, "paths": places, "model": model})
    else:
        for line in _collections(now):
            say(line)
        rows = [("notes", f"{now.notes:,} in {now.chunks:,} chunks, {now.embedded:,} embedded")]
        rows.append(("waiting", f"{now.pending:,} files differ from the index"))
        rows.append(("model", one_line(model or "none; answers are quotes")))
        rows += places.items()
        for line in columns(rows):
            say(line)
        for skip in now.skipped:
            say(f"skipped {one_line(skip.path)}: {one_line(skip.reason)}")
    if trouble:
        note(trouble)
    for notice in now.notices:
        note(notice)
    if not now.folders:
        note("Nothing is indexed yet: alcove index FOLDER")
        return Exit.INDEX_STALE
    return Exit.DONE if now.complete else Exit.INDEX_STALE


def forget(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove forget``."""
    notes = tools.notes()
    try:
        folder = _named_folder(arguments.folder, notes)
        done = notes.forget(folder)
    finally:
        notes.close()
    if done is None:
        note(f"{folder} is not in the index. alcove status lists the folders that are.")
    if arguments.json:
        say_json(asdict(done or Forgotten(str(folder), 0, 0)))
    elif done is not None:
        say(f"{one_line(done.folder)}: {done.notes:,} notes in {done.chunks:,} chunks forgotten")
    return Exit.DONE if done is not None else Exit.NOTHING_FOUND


def reranks(arguments: argparse.Namespace, tools: Tools) -> bool:
    """Say whether a reranker is to put the first passages in order: when one is chosen."""
    if arguments.rerank is None:
        return bool(tools.settings.search.reranker)
    return bool(arguments.rerank)


def search_json(result: SearchResult) -> dict[str, object]:
    """Build the document that ``search --json`` prints."""
    explanation = (
        {"explanation": explanation_json(result.explanation)} if result.explanation else {}
    )
    return {
        "legs": list(result.legs),
        "hits": [_hit_json(passage) for passage in result.passages],
        "found": result.found,
        "seconds": round(result.seconds, 6),
        "stale": result.stale,
        "notices": list(result.notices),
        **explanation,
    }


def _collections(now: IndexStatus) -> list[str]:
    """Write a table of the collections; their folders come last, as those are long."""
    if not now.collections:
        return ["no collections yet", ""]
    rows: list[tuple[str, ...]] = [("collection", "notes", "chunks", "embedded", "folder")]
    for item in now.collections:
        counts = (f"{n:,}" for n in (item.notes, item.chunks, item.embedded))
        rows.append((one_line(item.name), *counts, one_line(item.folder)))
    return [*columns(rows), ""]


def _named_folder(text: str, notes: Notes) -> Path:
    """Find the folder that a person means by a collection's name or a path."""
    if os.sep in text:
        return resolve_folder(text)
    names = {item.folder: item.name for item in notes.status().collections}
    folder, notice = find_folder(text, names)
    if notice:
        note(notice)
    return folder


def _model_of(tools: Tools) -> tuple[str | None, str]:
    """Name the model in use, or say what is wrong with the one that the settings name."""
    try:
        model = tools.default_model()
    except ModelError as error:
        return None, str(error)
    return (model.name if model else None), ""


def _status_of(tools: Tools) -> IndexStatus:
    notes = tools.notes()
    try:
        return notes.status()
    finally:
        notes.close()


def _hit_json(passage: Passage) -> dict[str, object]:
    chunk = passage.chunk
    return {
        "path": chunk.note_path,
        "folder": chunk.folder,
        "title": chunk.title,
        "headings": list(chunk.headings),
        "first_line": chunk.first_line,
        "last_line": chunk.last_line,
        "place": chunk.place,
        "text": chunk.text,
        "score": passage.score,
        "contributions": [asdict(item) for item in passage.contributions],
        "reranked": asdict(passage.reranked) if passage.reranked else None,
    }


def _print_passage(number: int, passage: Passage, query: str) -> None:
    chunk = passage.chunk
    place = one_line(where(chunk.note_path, chunk.first_line, chunk.last_line, chunk.place))
    ranks = "  ".join(f"{item.leg} #{item.rank}" for item in passage.contributions)
    if passage.reranked is not None:
        ranks += f"  reranker {passage.reranked.score:.2f}, was #{passage.reranked.fused_rank}"
    score = f"   {ranks}   {passage.score:.3f}" if passage.contributions else ""
    say(f"{number:>2}  {place}{score}")
    if chunk.headings:
        say(f"    {one_line(' › '.join(chunk.headings))}")
    headings = {one_line(heading) for heading in chunk.headings}  # They stand above already.
    text = printable(chunk.text).splitlines()
    lines = [line for line in text if line.strip() and line.strip("#* \t") not in headings]
    shown = snippet(lines, query)
    for line in lines[shown]:
        is_long = len(line) > _LINE_CHARACTERS
        say(f"    {line[: _LINE_CHARACTERS - 1]}…" if is_long else f"    {line}")
    if len(lines) > SNIPPET_LINES:
        rest = plural(len(lines) - SNIPPET_LINES, "more line")
        say(f"    … {rest}{f', {shown.start} above' if shown.start else ''}")
    say()


def snippet(lines: Sequence[str], query: str) -> slice:
    """Choose the neighbouring lines that hold most of a query's terms; the first of equals."""
    wanted = set(tokenize(query))
    terms = [wanted.intersection(tokenize(line)) for line in lines]
    starts = range(max(len(lines) - SNIPPET_LINES, 0) + 1)
    start = max(starts, key=lambda i: len(set().union(*terms[i : i + SNIPPET_LINES])))
    return slice(start, start + SNIPPET_LINES)
