"""Requests that write take turns, and those that wait see how far the writer is."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.services.turns import Turns
from retrieval.errors import IndexCancelled
from retrieval.types import Progress

NOTES, OTHER = Path("/notes"), Path("/other")


class Waiting:
    """A request that waits for its turn on a thread of its own."""

    def __init__(self, turns: Turns, folder: Path) -> None:
        self.seen: list[Progress] = []
        self.saw = threading.Event()
        self.stop = threading.Event()
        self.stopped = False
        self.had_turn = threading.Event()
        self._thread = threading.Thread(target=self._wait, args=(turns, folder))
        self._thread.start()

    def _wait(self, turns: Turns, folder: Path) -> None:
        try:
            with turns.take(folder, self._see, self.stop.is_set):
                self.had_turn.set()
        except IndexCancelled:
            self.stopped = True

    def _see(self, progress: Progress) -> None:
        self.seen.append(progress)
        self.saw.set()

    def join(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_the_same_folder_is_watched_as_if_it_were_its_own() -> None:
    turns = Turns()
    told: list[Progress] = []
    with turns.take(NOTES, told.append) as report:
        report(Progress("embedding", 3, 9))
        second = Waiting(turns, NOTES)
        assert second.saw.wait(30)
        assert not second.had_turn.is_set()
    second.join()
    assert second.had_turn.is_set()
    assert second.seen == told == [Progress("embedding", 3, 9)]


def test_another_folder_is_waited_for_by_name() -> None:
    turns = Turns()
    with turns.take(NOTES) as report:
        report(Progress("embedding", 3, 9))
        second = Waiting(turns, OTHER)
        assert second.saw.wait(30)
    second.join()
    assert second.had_turn.is_set()
    assert second.seen == [Progress("waiting for notes: embedding", 3, 9)]


def test_who_waits_can_be_stopped_and_the_writer_goes_on() -> None:
    turns = Turns()
    with turns.take(NOTES):
        second = Waiting(turns, NOTES)
        second.stop.set()
        second.join()
        assert second.stopped
        assert not second.had_turn.is_set()


def test_a_failure_ends_the_turn() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.take(NOTES):
        raise ZeroDivisionError
    with turns.take(OTHER):
        pass
