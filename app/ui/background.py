"""Work away from the UI loop, on threads that never hold up the end of the program.

Textual's own thread workers belong to a pool that is joined at exit; a download that waits for a
silent server would keep the terminal. These threads are daemons and only ever post messages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from app.errors import AppError
from app.types import AnswerEvent
from models.errors import ModelError
from models.types import Delta
from retrieval.errors import RetrievalError

FRAME_SECONDS = 1 / 30
"""Pieces of an answer that come faster than this are joined."""

OnError = Callable[[str, str], None]
"""Receives the title and the remedy of an error."""


def run_in_background(name: str, work: Callable[[], None], on_error: OnError) -> None:
    """Run ``work`` on a daemon thread and hand its error, if any, to ``on_error``."""

    def body() -> None:
        try:
            work()
        except (AppError, ModelError, RetrievalError) as error:
            on_error(error.title, error.remedy)
        except Exception as error:
            on_error(
                f"Something unexpected went wrong: {type(error).__name__}: {error}.",
                "Please report it with the end of the files in the log folder.",
            )

    threading.Thread(target=body, name=name, daemon=True).start()


def joined(
    events: Iterable[AnswerEvent], clock: Callable[[], float] = time.monotonic
) -> Iterator[AnswerEvent]:
    """Join pieces of text that come faster than frames; keep order and all text."""
    waiting: list[str] = []
    last = float("-inf")
    for event in events:
        if isinstance(event, Delta):
            waiting.append(event.text)
            if clock() - last < FRAME_SECONDS:
                continue
        if waiting:
            yield Delta("".join(waiting))
            waiting.clear()
            last = clock()
        if not isinstance(event, Delta):
            yield event
    if waiting:
        yield Delta("".join(waiting))
