"""The command ``alcove ask``: an answer streamed to standard output, then its sources."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TypeVar

from app.assistant import Assistant
from app.cli.filtering import filters, places
from app.cli.notes import reranks
from app.cli.output import Exit, note, progress_bar, say, say_json
from app.format import human_bytes
from app.grounding import abstained
from app.safe_text import one_line, printable
from app.tools import Engine, Tools
from app.types import Answer, AskOptions, Citation, Finished, Retrieved
from models.types import Delta, LoadOptions, LocalModel
from retrieval.types import where

T = TypeVar("T")

MARKS = {
    "quote": "✓ quoted",
    "supported": "✓ supported",
    "unsupported": "⚠ not borne out by the passage",
    "missing": "⚠ no such passage",
}
"""How the check of a citation is shown."""


def ask(arguments: argparse.Namespace, tools: Tools) -> Exit:
    """Run ``alcove ask``."""
    settings = tools.settings
    mode = arguments.mode or settings.app.mode
    local = _model(arguments, tools) if mode != "quotes" else None
    folders, base = places(arguments)
    options = AskOptions(
        mode=mode,
        k=arguments.k or settings.search.passages,
        folders=folders,
        base=base,
        filters=filters(arguments),
        rerank=reranks(arguments, tools),
        max_tokens=arguments.max_tokens or settings.model.max_tokens,
        temperature=_either(arguments.temperature, settings.model.temperature),
        seed=arguments.seed,
    )
    notes = tools.notes()
    engine = tools.engine() if local is not None else None
    try:
        if engine is not None and local is not None:
            _load(engine, local, arguments, tools)
        answer, stale = _run(Assistant(notes, engine), arguments, options)
    finally:
        notes.close()
        if engine is not None:
            engine.close()
    if arguments.json:
        say_json(answer_json(answer))
    else:
        _print_sources(answer)
    for notice in answer.notices:
        note(notice)
    if local is None and mode != "quotes":
        _suggest_model(tools)
    if abstained(answer.text) or (not answer.passages and answer.mode in {"quotes", "notes"}):
        return Exit.NOTHING_FOUND
    return Exit.INDEX_STALE if stale else Exit.DONE


def answer_json(answer: Answer) -> dict[str, object]:
    """Build the document that ``ask --json`` prints."""
    return {
        "answer": answer.text,
        "mode": answer.mode,
        "model": answer.model,
        "reason": answer.reason,
        "citations": [asdict(citation) for citation in answer.citations],
        "ledger": asdict(answer.ledger),
        "timings": {
            **asdict(answer.timings),
            "tokens_per_second": answer.timings.tokens_per_second,
        },
        "notices": list(answer.notices),
    }


def _model(arguments: argparse.Namespace, tools: Tools) -> LocalModel | None:
    return tools.find_model(arguments.model) if arguments.model else tools.default_model()


def _load(engine: Engine, local: LocalModel, arguments: argparse.Namespace, tools: Tools) -> None:
    settings = tools.settings.model
    options = LoadOptions(
        local.path,
        context=_either(arguments.context, settings.context),
        gpu_layers=_either(arguments.gpu_layers, settings.gpu_layers),
        threads=_either(arguments.threads, settings.threads),
        name=local.name,
    )
    with progress_bar() as report:
        engine.load(options, report)
    for notice in engine.info.notices:
        note(notice)


def _run(
    assistant: Assistant, arguments: argparse.Namespace, options: AskOptions
) -> tuple[Answer, bool]:
    stale = False
    answer: Answer | None = None
    for event in assistant.ask(arguments.question, options):
        if isinstance(event, Retrieved):
            stale = event.result.stale
        elif isinstance(event, Delta) and not arguments.json:
            sys.stdout.write(printable(event.text))
            sys.stdout.flush()
        elif isinstance(event, Finished):
            answer = event.answer
    assert answer is not None
    return answer, stale


def _print_sources(answer: Answer) -> None:
    say()
    if answer.citations:
        say()
    for citation in answer.citations:
        say(f"[{citation.n}] {_place(citation)}  {MARKS[citation.status]}")


def _place(citation: Citation) -> str:
    if citation.status == "missing":
        return "—"
    return one_line(where(citation.path, citation.first_line, citation.last_line, citation.place))


def _suggest_model(tools: Tools) -> None:
    proposal = tools.proposal()
    if proposal is not None:
        note(
            f"Quotes only. For written answers: alcove models download {proposal.name} "
            f"({proposal.title}, about {human_bytes(proposal.bytes)}, fits this machine)"
        )
    else:
        note("Quotes only. This machine has too little memory for the models we know.")


def _either(given: T | None, default: T) -> T:
    return default if given is None else given
