"""Work away from the UI loop, on threads that never hold up the end of the program.

Textual's own thread workers belong to a pool that is joined at exit; a download that waits for a
silent server would keep the terminal. These threads are daemons and only ever post messages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.errors import AppError
from models.errors import ModelError
from retrieval.errors import RetrievalError

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


class TextBuffer:
    """Joins pieces of an answer that come faster than they are drawn. Thread-safe.

    One message is under way at a time, however fast the model writes, and no piece waits for
    the next one to push it out.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._lock = threading.Lock()

    def add(self, piece: str) -> bool:
        """Add a piece; true when a message has to be sent that there is text to take."""
        with self._lock:
            self._pieces.append(piece)
            return len(self._pieces) == 1

    def take(self) -> str:
        """Take all the text there is; it may be none."""
        with self._lock:
            text = "".join(self._pieces)
            self._pieces.clear()
            return text
