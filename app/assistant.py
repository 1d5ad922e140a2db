"""A question to a stream of events that ends in a checked answer. Knows protocols only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.errors import SearchStopped
from app.format import plural
from app.prompting import build_prompt
from app.types import (
    Answer,
    AnswerEvent,
    AskOptions,
    Finished,
    Ledger,
    Mode,
    Prompt,
    Retrieved,
    Searcher,
    Searching,
    Timings,
)
from models.types import ChatMessage, ChatModel, Completed, Delta, FinishReason, GenerationOptions
from retrieval.types import Query, SearchResult

NOTHING_FOUND = "Nothing in your notes matches these words."
"""Said instead of an answer when neither leg found a passage."""

NOTHING_YET = "Nothing found so far, but the index is not complete."
"""Said while notes are still being indexed."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one question needs until its end."""

    question: str
    options: AskOptions
    started: float
    clock: Callable[[], float]
    result: SearchResult

    def elapsed(self) -> float:
        """Tell the seconds since the question."""
        return self.clock() - self.started


class Assistant:
    """Answers questions with a searcher and, when there is one, a model.

    One question at a time; ``cancel`` may come from any thread.
    """

    def __init__(
        self,
        searcher: Searcher,
        model: ChatModel | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._searcher = searcher
        self._clock = clock
        self.model = model
        """The loaded model, or None for answers made of quotes."""
        self._stop = threading.Event()

    def cancel(self) -> None:
        """End the running answer soon; what was written is kept."""
        self._stop.set()
        if self.model is not None:
            self.model.cancel()

    def ask(self, question: str, options: AskOptions) -> Iterator[AnswerEvent]:
        """Answer a question. The last event is ``Finished``.

        Raises ``RetrievalError``, ``ModelError`` or ``AppError``, each with a remedy.
        """
        self._stop.clear()
        started = self._clock()
        mode = options.mode if self.model is not None else "quotes"
        result = SearchResult((), (), 0, 0.0)
        if mode != "model":
            yield Searching()
            query = Query(
                question,
                k=options.k,
                folders=options.folders,
                base=options.base,
                wait=options.wait_for_vectors,
                filters=options.filters,
                context=_context(options),
                rerank=options.rerank,
                explain=options.explain,
            )
            try:
                result = self._searcher.search(query)
            except SearchStopped:
                self._stop.set()
            else:
                yield Retrieved(result)
        asked = _Asked(question, options, started, self._clock, result)
        if self._stop.is_set():
            yield Finished(_silent(asked, mode, "", "cancelled"))
        elif not result.passages and mode in {"quotes", "notes"}:
            text = NOTHING_YET if result.stale else NOTHING_FOUND
            yield Delta(text)
            yield Finished(_silent(asked, mode, text, "stop"))
        elif self.model is None or mode == "quotes":
            yield from _quote(asked)
        else:
            yield from self._generate(asked, self.model, mode)

    def _generate(self, asked: _Asked, model: ChatModel, mode: Mode) -> Iterator[AnswerEvent]:
        info = model.info
        reserve = min(asked.options.max_tokens, info.context // 4)
        prompt = build_prompt(
            asked.question,
            asked.options.history,
            asked.result.passages,
            model,
            context=info.context,
            reserve=reserve,
            mode=mode,
            forgotten=asked.options.forgotten,
        )
        generation = GenerationOptions(
            # A small context keeps a small reserve; what the notes left free may be used too.
            max_tokens=min(asked.options.max_tokens, reserve + prompt.ledger.free),
            temperature=asked.options.temperature,
            seed=asked.options.seed,
        )
        written: list[str] = []
        completed: Completed | None = None
        for event in model.stream(prompt.messages, generation):
            if isinstance(event, Completed):
                completed = event
                continue
            if isinstance(event, Delta):
                written.append(event.text)
            yield event
            if self._stop.is_set():
                model.cancel()
        if completed is None:
            completed = Completed("cancelled", 0, 0, 0, 0.0, 0.0)
        yield Finished(_checked(asked, mode, prompt, "".join(written), completed, info.name))


def _context(options: AskOptions) -> str:
    """Give the last questions, one a line: a question may go on from them."""
    questions = (" ".join(turn.question.split()) for turn in options.history[-3:])
    return "\n".join(filter(None, questions))


def _searched_for(asked: _Asked) -> str:
    """Give the words that were searched for: without operators, with what they go on from."""
    from retrieval.queries.follow_up import in_context
    from retrieval.queries.query import parse_query

    words = parse_query(asked.question, 0.0).text
    return in_context(words, _context(asked.options)).keywords


def _quote(asked: _Asked) -> Iterator[AnswerEvent]:
    # Imported with the first answer: the stemmers are not needed for the first paint.
    from app.extractive import quoted_answer

    text, citations = quoted_answer(_searched_for(asked), asked.result.passages)
    yield Delta(text)
    yield Finished(
        Answer(
            text=text,
            mode="quotes",
            passages=asked.result.passages,
            citations=citations,
            ledger=Ledger(),
            timings=_timings(asked),
            notices=asked.result.notices,
        )
    )


def _checked(
    asked: _Asked, mode: Mode, prompt: Prompt, raw: str, completed: Completed, model: str
) -> Answer:
    from app.grounding import check, normalise_citations

    text = normalise_citations(raw.strip(), len(prompt.passages))
    timings = Timings(
        search=asked.result.seconds,
        prefill=completed.prefill_seconds,
        decode=completed.decode_seconds,
        total=asked.elapsed(),
        prompt_tokens=completed.prompt_tokens,
        cached_tokens=completed.cached_tokens,
        completion_tokens=completed.completion_tokens,
    )
    return Answer(
        text=text,
        mode=mode,
        passages=prompt.passages,
        citations=check(text, prompt.passages),
        ledger=prompt.ledger,
        timings=timings,
        reason=completed.reason,
        notices=(*asked.result.notices, *_prompt_notices(asked, prompt.ledger, completed.reason)),
        sent=(prompt.messages[-1], ChatMessage("assistant", raw)),
        model=model,
    )


def _prompt_notices(asked: _Asked, ledger: Ledger, reason: FinishReason) -> Iterator[str]:
    dropped = ledger.dropped_turns - asked.options.forgotten
    if dropped:
        yield f"The model's context is full: it no longer sees {plural(dropped, 'earlier turn')}."
    if ledger.left_out:
        passages = plural(len(ledger.left_out), "found passage")
        yield f"{passages} did not fit in the model's context; the ledger lists them."
    if reason == "length":
        yield "The answer was cut at the token limit; ask the model to go on."


def _silent(asked: _Asked, mode: Mode, text: str, reason: FinishReason) -> Answer:
    return Answer(
        text=text,
        mode=mode,
        passages=asked.result.passages,
        citations=(),
        ledger=Ledger(),
        timings=_timings(asked),
        reason=reason,
        notices=asked.result.notices,
    )


def _timings(asked: _Asked) -> Timings:
    return Timings(search=asked.result.seconds, total=asked.elapsed())
