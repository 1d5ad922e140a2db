from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from models.interruptible import interruptible


class Stop(Exception):
    pass


def go_on() -> None:
    """Nobody wants to stop."""


def test_everything_arrives_in_order_and_then_the_error() -> None:
    def make() -> Generator[int, None, None]:
        yield from range(100)
        raise LookupError("at the end")

    seen = []
    with pytest.raises(LookupError, match="at the end"):
        for item in interruptible(make, go_on):
            seen.append(item)
    assert seen == list(range(100))


def test_a_stop_does_not_wait_for_what_blocks_and_its_cleanup_still_runs() -> None:
    blocked, release, cleaned = threading.Event(), threading.Event(), threading.Event()

    def make() -> Generator[int, None, None]:
        try:
            blocked.set()
            release.wait(30)
            yield 1
        finally:
            cleaned.set()

    def check() -> None:
        if blocked.is_set():
            raise Stop

    with pytest.raises(Stop):
        next(interruptible(make, check))
    assert not release.is_set()
    assert not cleaned.is_set()
    release.set()
    assert cleaned.wait(30)


def test_a_reader_that_leaves_ends_an_endless_source() -> None:
    ended = threading.Event()

    def make() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    items = interruptible(make, go_on)
    assert next(items) == 1
    items.close()
    assert ended.wait(30)
