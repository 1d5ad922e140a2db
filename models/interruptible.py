"""Waiting that can be stopped: what blocks runs on a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_TICK = 0.1
_AHEAD = 16


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


def interruptible(
    make: Callable[[], Generator[T, None, None]], check: Callable[[], None]
) -> Generator[T, None, None]:
    """Yield what ``make()`` yields and ask ``check`` ten times a second while that blocks.

    When ``check`` raises, or the reader closes this, nobody waits for the thread: it ends by itself
    as soon as ``make()`` yields, ends or runs into a time limit of its own. That generator runs and
    is closed there and must share nothing that changes with the reader.
    """
    results: queue.Queue[T | _End] = queue.Queue(_AHEAD)
    left = threading.Event()
    threading.Thread(
        target=_pump, args=(make, results, left), name="interruptible", daemon=True
    ).start()
    try:
        while True:
            check()
            try:
                result = results.get(timeout=_TICK)
            except queue.Empty:
                continue
            if not isinstance(result, _End):
                yield result
            elif result.error is None:
                return
            else:
                raise result.error
    finally:
        left.set()


def _pump(
    make: Callable[[], Generator[T, None, None]],
    results: queue.Queue[T | _End],
    left: threading.Event,
) -> None:
    end = _End(None)
    try:
        with closing(make()) as items:
            for item in items:
                if not _put(results, item, left):
                    return
    except Exception as error:
        end = _End(error)
    _put(results, end, left)


def _put(results: queue.Queue[T | _End], item: T | _End, left: threading.Event) -> bool:
    """Hand an item over; false when nobody reads any more."""
    while not left.is_set():
        try:
            results.put(item, timeout=_TICK)
        except queue.Full:
            continue
        return True
    return False
