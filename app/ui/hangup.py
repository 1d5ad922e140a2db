"""Ends the app when its terminal is gone.

The interface cannot do that itself: once nobody reads what it draws, it waits for ever to draw
more, and a signal waits with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable

LOOK_SECONDS = 1.0
"""Pause between looks at the terminal."""

GRACE_SECONDS = 2.0
"""Time the app has to end by itself, as it does when a signal tells it of the same."""

EXIT_CODE = 129
"""What a shell reports of a program that a hang-up ended."""


def watch_terminal(close: Callable[[], None]) -> None:
    """Have the process ended, after ``close``, when the terminal of standard input is gone."""
    if sys.stdin.isatty():
        threading.Thread(target=_watch, args=(close,), name="hangup", daemon=True).start()


def _watch(close: Callable[[], None]) -> None:
    while _is_there(sys.stdin.fileno()):
        time.sleep(LOOK_SECONDS)
    time.sleep(GRACE_SECONDS)
    with contextlib.suppress(Exception):
        close()
    os._exit(EXIT_CODE)


def _is_there(terminal: int) -> bool:
    """Tell whether a terminal still has another end."""
    try:
        import termios
    except ImportError:  # A console of Windows ends its programs itself.
        return True
    try:
        termios.tcgetattr(terminal)
    except (termios.error, ValueError):
        return False
    return True
