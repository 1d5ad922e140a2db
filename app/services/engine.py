"""The engine: llama.cpp in a process of its own, so that nothing it does can end the app."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.services.host import ServiceClient, describe_exit
from models.errors import GenerationError
from models.types import (
    ChatMessage,
    ChatModel,
    Completed,
    Delta,
    GenerationOptions,
    LoadedModel,
    LoadOptions,
    Prefilling,
    Progress,
    Report,
    StreamEvent,
    ignore_progress,
)

if TYPE_CHECKING:
    from app.services.child import Job, Method

Loader = Callable[[LoadOptions, Report, Callable[[], bool]], ChatModel]
"""Loads a model in the process that calls it."""


class EngineService:
    """Runs in the child: one model at a time, one request at a time."""

    lanes: Mapping[str, str] = {}

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._model: ChatModel | None = None
        self.methods: Mapping[str, Method] = {
            "load": self._load,
            "count_tokens": self._count_tokens,
            "count_prompt": self._count_prompt,
            "stream": self._stream,
        }

    def close(self) -> None:
        """Leave the memory to the end of the process, which is the surest way."""

    def _load(self, job: Job, options: LoadOptions) -> LoadedModel:
        if self._model is not None:
            self._model.close()
            self._model = None
        self._model = self._loader(options, job.emit, job.cancelled)
        return self._model.info

    def _loaded(self) -> ChatModel:
        if self._model is None:
            raise GenerationError("No model is loaded.", "Choose a model first.")
        return self._model

    def _count_tokens(self, _: Job, texts: Sequence[str]) -> list[int]:
        return self._loaded().count_tokens(texts)

    def _count_prompt(self, _: Job, messages: Sequence[ChatMessage]) -> int:
        return self._loaded().count_prompt(messages)

    def _stream(
        self, job: Job, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> None:
        model = self._loaded()
        job.on_cancel(model.cancel)
        for event in model.stream(messages, options):
            job.emit(event)
            # A cancel from before the stream began would otherwise be forgotten by it.
            if job.cancelled():
                model.cancel()


class EngineClient(ServiceClient):
    """The loaded model, as the app sees it: a ``ChatModel`` that lives in the child.

    When the child dies the model is loaded anew by the next use.
    """

    def __init__(self, logs: Path) -> None:
        super().__init__("engine", logs, _explain_death)
        self._options: LoadOptions | None = None
        self._info: LoadedModel | None = None
        self._report: Report = ignore_progress
        self._loaded_pid: int | None = None
        self._load_lock = threading.Lock()

    @property
    def info(self) -> LoadedModel:
        """What is loaded. Raises ``GenerationError`` when nothing is."""
        if self._info is None:
            raise GenerationError("No model is loaded.", "Choose a model first.")
        return self._info

    def load(self, options: LoadOptions, report: Report = ignore_progress) -> LoadedModel:
        """Load a model in a fresh process. Raises ``ModelError`` or ``AppError``.

        The report also hears of the loads after a death of the child.
        """
        with self._load_lock:
            self.unload()
            self._report = report
            self._info = self._load(options)
            self._options = options
            return self._info

    def unload(self) -> None:
        """Give the model's memory back by ending the process."""
        self._info = None
        self._options = None
        self._host.stop()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, read as data."""
        return self._call("count_tokens", tuple(texts))  # type: ignore[return-value]

    def count_prompt(self, messages: Sequence[ChatMessage]) -> int:
        """Count the tokens of the whole prompt, template included."""
        return self._call("count_prompt", tuple(messages))  # type: ignore[return-value]

    def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> Iterator[StreamEvent]:
        """Write the next message. Raises ``ModelError`` or ``ServiceDied``."""
        self._revive()
        with self._calling("stream", tuple(messages), options) as pending:
            for event in pending.events():
                if isinstance(event, (Prefilling, Delta, Completed)):
                    yield event

    def cancel(self) -> None:
        """Stop the running load or answer soon. Thread-safe."""
        for pending in self._pending("stream", "load"):
            pending.cancel()

    def _call(self, method: str, argument: object) -> object:
        self._revive()
        return self._host.call(method, argument).result()

    def _revive(self) -> None:
        """Load the model again when it is not in the present child: that one is new or gone.

        A failure changes nothing: the next use tries again.
        """
        with self._load_lock:
            if self._options is not None and self._host.pid != self._loaded_pid:
                self._info = self._load(self._options)

    def _load(self, options: LoadOptions) -> LoadedModel:
        report = self._report
        with self._calling("load", options) as pending:
            pid = self._host.pid
            value = pending.result(
                lambda event: report(event) if isinstance(event, Progress) else None
            )
        assert isinstance(value, LoadedModel)
        self._loaded_pid = pid
        return value


def _explain_death(code: int) -> tuple[str, str]:
    how = describe_exit(code)
    if "SIGILL" in how:
        remedy = (
            "llama.cpp was built with instructions this processor lacks; "
            "`make install REBUILD=1` builds it anew."
        )
    elif "SIGKILL" in how:
        remedy = (
            "The system may have run out of memory: close something, or choose a smaller "
            "model or context. Ask again to load the model anew."
        )
    else:
        remedy = "Ask again to load the model anew; engine.log in the log folder has the details."
    return f"The engine {how}. The conversation is safe.", remedy
