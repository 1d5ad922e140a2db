"""The app as a person sees it: a real terminal, real children, the trained model."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.e2e.conftest import READER, Home
from tests.e2e.terminal import Terminal, terminal
from tests.fixtures.reader_data import question

WIDE, NARROW = (160, 45), (80, 24)
CTRL_N, CTRL_O, CTRL_Q = "\x0e", "\x0f", "\x11"
INDEXED = "4 notes ✓"


def give_model(home: Home) -> None:
    folder = home.alcove_home / "models" / "tests" / "reader-GGUF"
    folder.mkdir(parents=True)
    shutil.copy(READER, folder / "reader-F16.gguf")


@contextmanager
def alcove(home: Home, size: tuple[int, int] = WIDE) -> Iterator[Terminal]:
    with terminal(home.command(str(home.notes)), home.environment, home.root, size) as screen:
        yield screen


def assert_left_clean(screen: Terminal) -> None:
    """The alternate screen, the mouse and the cursor are as they were."""
    for switched in (b"?1049", b"?1000", b"?2004"):
        if b"\x1b[" + switched + b"h" in screen.raw:
            assert screen.raw.rfind(switched + b"l") > screen.raw.rfind(switched + b"h")
    assert screen.raw.rfind(b"?25h") > screen.raw.rfind(b"?25l")
    assert b"Traceback" not in screen.raw


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_a_folder_is_opened_asked_and_left(home: Home, size: tuple[int, int]) -> None:
    with alcove(home, size) as screen:
        screen.wait("Ask your notes.")
        screen.wait(INDEXED)
        screen.keys("what is the code of the mill?\r")
        shown = screen.wait("The code of the mill is falcon. [1]")
        assert "quotes only" in shown
        if size == NARROW:
            screen.keys(CTRL_O)
        shown = screen.wait("✓ quoted, line 3")
        assert "mill.md:1-3" in shown
        assert re.search(r"bm25 #1\s+vector #\d|bm25 #1", shown)
        children = screen.children()
        assert children
        screen.keys(CTRL_Q)
        assert screen.ended() == 0
        assert_left_clean(screen)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


def test_a_model_answers_and_either_child_may_be_killed(home: Home) -> None:
    give_model(home)
    with alcove(home) as screen:
        screen.wait(lambda text: "tests/reader-GGUF:F16" in text and "on GPU" in text)
        screen.wait(INDEXED)
        screen.keys(f"{question('mill')}\r")
        screen.wait(lambda text: bool(re.search(r"The code of the mill is falcon \[\d\]\.", text)))
        screen.wait("quoted ·")

        (engine,) = screen.children("_serve engine")
        engine.kill()
        screen.wait("The engine was killed (SIGKILL)")
        screen.keys(CTRL_N)
        screen.wait("Ask your notes.")
        screen.keys(f"{question('harbour')}\r")
        screen.wait(lambda text: bool(re.search(r"harbour is cobalt \[\d\]\.", text)))

        (index,) = screen.children("_serve index")
        index.kill()
        screen.wait("The index process was killed (SIGKILL)")
        screen.wait(INDEXED)
        screen.keys(CTRL_N)
        screen.wait("Ask your notes.")
        screen.keys(f"{question('tunnel')}\r")
        screen.wait(lambda text: bool(re.search(r"tunnel is saffron \[\d\]\.", text)))
        screen.keys(CTRL_Q)
        assert screen.ended() == 0
        assert_left_clean(screen)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_as_cleanly_as_a_key(home: Home, number: signal.Signals) -> None:
    with alcove(home) as screen:
        screen.wait("Ask your notes.")
        screen.wait(lambda _: len(screen.children()) >= 1)
        children = screen.children()
        screen.process.send_signal(number)
        assert screen.ended() == 0
        assert_left_clean(screen)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


def test_killed_outright_it_leaves_no_orphans(home: Home) -> None:
    with alcove(home) as screen:
        screen.wait("Ask your notes.")
        screen.wait(lambda _: len(screen.children("_serve")) >= 1)
        children = screen.children()
        screen.process.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


def test_a_closed_terminal_ends_it_and_its_children(home: Home) -> None:
    with alcove(home) as screen:
        screen.wait("Ask your notes.")
        screen.wait(lambda _: len(screen.children("_serve")) >= 1)
        children = screen.children()
        screen.hang_up()
        screen.process.wait(30)
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


def test_the_first_screen_names_the_folder_and_nothing_else_is_asked(home: Home) -> None:
    with alcove(home, NARROW) as screen:
        shown = screen.wait("A model that fits this machine")
        assert "is only read, never written" in " ".join(shown.split())
        assert "quotes only" in shown
