"""A real terminal for tests: a pty with the app in it, read by a terminal emulator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pyte

WAIT_SECONDS = 120.0
"""Time a screen gets to show what it must: children import torch on busy machines."""


class Terminal:
    """A program in a terminal of a size, and what its screen shows."""

    def __init__(
        self, master: int, process: subprocess.Popen[bytes], size: tuple[int, int]
    ) -> None:
        self._master = master
        self.process = process
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = bytearray()
        """All bytes the program wrote."""

    @property
    def text(self) -> str:
        """The screen as lines of text."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def keys(self, text: str) -> None:
        """Type."""
        os.write(self._master, text.encode())

    def wait(self, condition: str | Callable[[str], bool]) -> str:
        """Read until the screen shows a text or meets a condition, and return it."""
        met = (lambda text: condition in text) if isinstance(condition, str) else condition
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if met(self.text):
                return self.text
            self._read(0.05)
        raise AssertionError(f"not on the screen: {condition}\n{self.text}")

    def ended(self) -> int:
        """Read to the end of the program and return its exit code."""
        end = time.monotonic() + WAIT_SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            self._read(0.01)
        while self._read(0.05):
            pass
        return self.process.wait(1)

    def hang_up(self) -> None:
        """Close the terminal, as closing its window does."""
        os.close(self._master)
        self._master = -1

    @property
    def hung_up(self) -> bool:
        """Whether the terminal was closed."""
        return self._master < 0

    def children(self, name: str = "") -> list[psutil.Process]:
        """List the app's child processes, or those of one service."""
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.process.pid).children(recursive=True)
            return [child for child in found if name in " ".join(child.cmdline())]
        return []

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


@contextlib.contextmanager
def terminal(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    size: tuple[int, int] = (120, 36),
) -> Iterator[Terminal]:
    """Run a program in a terminal of its own, and end it whatever happens."""
    master, slave = pty.openpty()
    columns, rows = size
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=dict(environment),
        cwd=cwd,
        start_new_session=True,
    )
    os.close(slave)
    opened = Terminal(master, process, size)
    try:
        yield opened
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        if not opened.hung_up:
            os.close(master)
