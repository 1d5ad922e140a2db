"""A folder, its index, a model and the running conversation: what the interface works on.

Methods that wait belong on a background thread; properties are quick and safe from any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from msgspec import structs

from app.assistant import Assistant
from app.conversation import Conversation, ConversationStore
from app.errors import AppError, ConversationError, ServiceDied
from app.judgments import Judgments, Verdict
from app.settings import Settings
from app.state import load_state, save_state
from app.tools import Engine, Tools
from app.types import (
    Answer,
    AnswerEvent,
    AskOptions,
    Finished,
    Ledger,
    Mode,
    Retrieved,
    Searcher,
    Timings,
    Turn,
)
from models.errors import ModelError
from models.types import Delta, LoadedModel, LoadOptions, LocalModel
from models.types import Report as ModelReport
from models.types import ignore_progress as ignore_load
from retrieval.errors import RetrievalError
from retrieval.types import (
    IndexReport,
    IndexStatus,
    Note,
    Passage,
    Report,
    SearchResult,
    ignore_progress,
)

CLOSE_SECONDS = 0.6
"""Time that closing may take at most; a child still there then ends with the closed pipe."""

WAIT_SECONDS = 0.05
"""Pause between looks at whether an answer has ended."""

HOW_TO_GET_A_MODEL = "Quotes only: ctrl+k chooses or downloads a model that writes answers."
"""Said once in a conversation without a model."""

Death = Callable[[ServiceDied], None]
"""Told, on a thread of its own, that a child process ended by itself."""


class IndexProcess(Searcher, Protocol):
    """The index in a child process."""

    def index(self, folder: Path, report: Report = ...) -> IndexReport:
        """Bring the index of a folder up to date."""

    def cancel_indexing(self) -> None:
        """Stop the running ``index`` soon."""

    def cancel_search(self) -> None:
        """Have the running ``search`` raise ``SearchStopped`` at once."""

    def watch(self, folder: Path, changed: Callable[[IndexReport], None]) -> None:
        """Follow a folder's changes until the process ends; tells of every run that came of one."""

    def status(self, folder: Path | None = None) -> IndexStatus:
        """Tell what is in the index."""

    def note(self, folder: Path, path: str) -> Note:
        """Give a note as its file reads now."""

    def warm(self) -> None:
        """Load what the vector leg needs."""

    def watch_death(self, tell: Death) -> None:
        """Have somebody told when the process ends by itself."""

    def close(self) -> None:
        """End the process."""


class EngineProcess(Engine, Protocol):
    """A model in a child process."""

    def unload(self) -> None:
        """Give the model's memory back."""

    def watch_death(self, tell: Death) -> None:
        """Have somebody told when the process ends by itself."""


class Workspace:
    """Everything behind the screens. One question at a time."""

    def __init__(
        self,
        folder: Path,
        tools: Tools,
        index: IndexProcess,
        engine: EngineProcess,
        store: ConversationStore,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        """The folder of notes that is open."""
        self.tools = tools
        """Models on this machine, the catalogue, downloads, paths."""
        self.index = index
        """The index process."""
        self.engine = engine
        """The engine process."""
        self.mode: Mode = tools.settings.app.mode
        """Where answers come from when a model is loaded."""
        self._store = store
        self.clock = clock
        """Seconds since the epoch."""
        self._judgments = Judgments(tools.paths.judgments, clock)
        self._assistant = Assistant(index, clock=clock)
        self._conversation = Conversation.new(str(folder))
        self._asked = ("", "")
        self._ready = threading.Event()
        self._answering = threading.Event()

    @property
    def settings(self) -> Settings:
        """Settings of this user."""
        return self.tools.settings

    @property
    def conversation(self) -> Conversation:
        """The running conversation."""
        return self._conversation

    @property
    def model(self) -> LoadedModel | None:
        """The loaded model, or None while answers are quotes."""
        return self._assistant.model.info if self._assistant.model is not None else None

    @property
    def effective_mode(self) -> Mode:
        """Where the next answer comes from."""
        return self.mode if self._assistant.model is not None else "quotes"

    def update_index(self, report: Report = ignore_progress) -> IndexReport:
        """Bring the folder's index up to date, telling progress."""
        self._update_state(folder=str(self.folder))
        return self.index.index(self.folder, report)

    def watch(self, changed: Callable[[IndexReport], None]) -> None:
        """Follow the folder's changes until the index process ends."""
        self.index.watch(self.folder, changed)

    def warm(self) -> None:
        """Load the vector leg; afterwards questions wait for it, as it is quick."""
        self.index.warm()
        self._ready.set()

    def forget_vectors(self) -> None:
        """Note that the index process is a new one: the vector leg has to be loaded again."""
        self._ready.clear()

    def status(self) -> IndexStatus:
        """Tell the state of the folder's index."""
        return self.index.status(self.folder)

    def ask(self, question: str) -> Iterator[AnswerEvent]:
        """Answer a question; the turn is saved before ``Finished`` is told.

        Raises ``RetrievalError``, ``ModelError`` or ``AppError``, each with a remedy.
        """
        asked_at = self.clock()
        conversation = self._conversation
        before = conversation.turns[-1].question if conversation.turns else ""
        self._asked = (question, before)
        settings = self.settings
        options = AskOptions(
            mode=self.mode,
            k=settings.search.passages,
            explain=True,
            rerank=bool(settings.search.reranker),
            folders=(str(self.folder),),
            wait_for_vectors=self._ready.is_set(),
            max_tokens=settings.model.max_tokens,
            temperature=settings.model.temperature,
            history=conversation.history(),
            forgotten=conversation.forgotten,
        )
        written: list[str] = []
        result = SearchResult((), (), 0, 0.0)
        self._answering.set()
        try:
            for event in self._assistant.ask(question, options):
                if isinstance(event, Finished):
                    answer = self._keep(Turn(question, event.answer, asked_at))
                    yield Finished(answer)
                    continue
                if isinstance(event, Delta):
                    written.append(event.text)
                elif isinstance(event, Retrieved):
                    result = event.result
                yield event
        except (AppError, ModelError, RetrievalError) as error:
            broken = _broken_off("".join(written), self.effective_mode, result, error)
            self._keep(Turn(question, broken, asked_at))
            raise
        finally:
            self._answering.clear()

    def _keep(self, turn: Turn) -> Answer:
        """Add a turn and save it; an answer that cannot be saved is shown, and says so."""
        conversation, answer = self._conversation, turn.answer
        if answer.mode == "quotes" and self.mode != "quotes" and not conversation.turns:
            answer = replace(answer, notices=(*answer.notices, HOW_TO_GET_A_MODEL))
        conversation.append(replace(turn, answer=answer))
        conversation.forget(answer.ledger.dropped_turns)
        try:
            self._store.save(conversation)
        except ConversationError as error:
            return replace(answer, notices=(*answer.notices, error.title, error.remedy))
        return answer

    def note(self, passage: Passage) -> Note:
        """Give the note that a passage is from, as its file reads now.

        Raises ``RetrievalError`` or ``AppError``.
        """
        return self.index.note(Path(passage.chunk.folder), passage.chunk.note_path)

    def mark(self, passage: Passage, verdict: Verdict) -> None:
        """Keep what the person says of a source of the newest answer, for ``alcove eval --mine``.

        Raises ``JudgmentError``.
        """
        question, context = self._asked
        self._judgments.mark(question, passage, verdict, context)

    def cancel(self) -> None:
        """End the running search, answer or load soon."""
        self._assistant.cancel()
        self.index.cancel_search()
        self.engine.cancel()

    def new_conversation(self) -> None:
        """Start afresh; the conversation so far is saved already."""
        self._conversation = Conversation.new(str(self.folder))

    def load_model(self, model: LocalModel, report: ModelReport = ignore_load) -> LoadedModel:
        """Load a model in place of the present one, once no answer is being written.

        Raises ``ModelError`` or ``AppError``.
        """
        while self._answering.is_set():
            time.sleep(WAIT_SECONDS)
        self._assistant.model = None
        settings = self.settings.model
        options = LoadOptions(
            model.path,
            context=settings.context,
            gpu_layers=settings.gpu_layers,
            threads=settings.threads,
            name=model.name,
        )
        self.engine.load(options, report)
        self._assistant.model = self.engine
        self._conversation.recall()
        self._update_state(model=model.name)
        return self.engine.info

    def unload_model(self) -> None:
        """Give the model's memory back and answer with quotes."""
        self._assistant.model = None
        self.engine.unload()

    def skip_proposal(self) -> None:
        """Remember that no model is to be proposed any more."""
        self._update_state(skipped_proposal=True)

    @property
    def proposal_skipped(self) -> bool:
        """Whether the person declined the proposed model."""
        return load_state(self.tools.paths.state).skipped_proposal

    def close(self) -> None:
        """End both children; takes well under a second whatever they are doing."""
        threads = [
            threading.Thread(target=end, daemon=True)
            for end in (self.index.close, self.engine.close)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(CLOSE_SECONDS)

    def _update_state(self, **changes: object) -> None:
        path = self.tools.paths.state
        save_state(path, structs.replace(load_state(path), **changes))


def _broken_off(
    text: str, mode: Mode, result: SearchResult, error: AppError | ModelError | RetrievalError
) -> Answer:
    """Make an answer of what was written before an error."""
    return Answer(
        text=text,
        mode=mode,
        passages=result.passages,
        citations=(),
        ledger=Ledger(),
        timings=Timings(),
        reason="cancelled",
        notices=(*result.notices, error.title, error.remedy),
    )
