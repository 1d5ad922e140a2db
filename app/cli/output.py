"""How commands speak: data on standard output, everything else on standard error."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import Protocol

from app.safe_text import UNSAFE, one_line


class Exit(IntEnum):
    """Exit codes that scripts may rely on."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING_FOUND = 3
    INDEX_STALE = 4
    INTERRUPTED = 130


class ProgressLike(Protocol):
    """Progress of either package."""

    @property
    def label(self) -> str:
        """What is being done."""

    @property
    def done(self) -> int:
        """Units finished."""

    @property
    def total(self) -> int:
        """Units in all; 0 when not known."""


def prepare_streams() -> None:
    """Let no file name or note break the output: what cannot be encoded is escaped."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def say(text: str = "") -> None:
    """Print a line of data."""
    print(text)


def say_json(value: object) -> None:
    """Print data for scripts: one JSON document."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_plain)
    # JSON leaves these as they are, and a terminal that shows the document would obey them.
    print(UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def note(text: str) -> None:
    """Print a line for the person that is not data."""
    print(one_line(text), file=sys.stderr)


def complain(title: str, remedy: str) -> None:
    """Print an error and what to do about it."""
    print(f"alcove: {one_line(title)}", file=sys.stderr)
    if remedy:
        print(f"  {one_line(remedy)}", file=sys.stderr)


@contextmanager
def progress_bar(counts_bytes: bool = False) -> Iterator[Callable[[ProgressLike], None]]:
    """Show progress on standard error while it is a terminal; say nothing to a pipe."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    amounts = (DownloadColumn(), TransferSpeedColumn()) if counts_bytes else (MofNCompleteColumn(),)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *amounts,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        tasks: dict[str, TaskID] = {}

        def report(progress: ProgressLike) -> None:
            label = one_line(progress.label)
            task = "" if counts_bytes else label  # a download is one job, whatever it waits for
            if task not in tasks:
                tasks[task] = bar.add_task(label)
            total = progress.total or None
            bar.update(tasks[task], description=label, completed=progress.done, total=total)

        yield report


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Give a question whether ctrl+c was pressed; pressed again, it interrupts at once.

    An interrupt that arrives while a library is imported may be swallowed, or end as the library's
    own error.
    """
    pressed = threading.Event()

    def press(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            signal.default_int_handler(number, frame)
        pressed.set()

    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Line cells up in columns, two spaces apart."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
