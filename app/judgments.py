"""Sources that the person marked good or bad: the judgments that ``alcove eval --mine`` reads."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from app.errors import JudgmentError
from retrieval.types import Passage

Verdict = Literal["good", "bad", "none"]
"""What the person says of a source; ``none`` takes an earlier verdict back."""

_Key: TypeAlias = tuple[str, str, str, str, str]
_State: TypeAlias = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Judgment:
    """One passage marked for one question."""

    time: float
    """When it was marked, in seconds since the epoch."""
    question: str
    """The question as it was typed."""
    context: str
    """The question that it followed; empty when it followed none."""
    folder: str
    """Absolute path of the indexed folder."""
    note_path: str
    """Path of the note relative to the folder, with forward slashes."""
    text_digest: str
    """``text_digest`` of the passage as it read then."""
    headings: tuple[str, ...]
    """Headings above the passage, outermost first."""
    first_line: int
    """First line of the passage as it was then, from 1."""
    verdict: Verdict
    """What the person said."""


class Judgments:
    """Judgments in a file of JSON lines that only its owner can read.

    Marks are added at the end and the last one for a question and passage holds, so that nothing
    a person said is ever lost and several processes may write. Threads may share it. A line that
    cannot be read is left where it is and named in ``problems``.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        """The file; made at the first mark."""
        self._clock = clock
        self._lock = threading.Lock()
        self._state: _State = None
        self._marks: dict[_Key, Judgment] = {}
        self._problems: tuple[str, ...] = ()

    def mark(self, question: str, passage: Passage, verdict: Verdict, context: str = "") -> None:
        """Note what the person says of a passage as a source for a question.

        ``context`` is the question before it when it follows one. Raises ``JudgmentError``.
        """
        chunk = passage.chunk
        key = _key(question, context, passage)
        judgment = Judgment(self._clock(), *key, chunk.headings, chunk.first_line, verdict)
        with self._lock:
            self._refresh()
            known = self._marks.get(key)
            if verdict == ("none" if known is None else known.verdict):
                return
            self._append(judgment)

    def verdict(self, question: str, passage: Passage, context: str = "") -> Verdict:
        """Tell what the person said of a passage for a question. Raises ``JudgmentError``."""
        with self._lock:
            self._refresh()
            judgment = self._marks.get(_key(question, context, passage))
        return "none" if judgment is None else judgment.verdict

    def all(self) -> tuple[Judgment, ...]:
        """Give the verdicts that hold, good and bad, in the order of their first marks.

        Raises ``JudgmentError``.
        """
        with self._lock:
            self._refresh()
            return tuple(j for j in self._marks.values() if j.verdict != "none")

    @property
    def problems(self) -> tuple[str, ...]:
        """What the last look at the file found wrong with it, each with a remedy."""
        return self._problems

    def _refresh(self) -> None:
        """Read the file when it is not as it was read last."""
        try:
            state = _state(self.path)
            if state == self._state:
                return
            lines = self.path.read_bytes().split(b"\n") if state is not None else []
        except OSError as error:
            raise _failure("The marked sources cannot be read", self.path, error) from error
        marks: dict[_Key, Judgment] = {}
        broken: list[int] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                judgment = msgspec.convert(json.loads(line), Judgment)
            except (ValueError, RecursionError):
                broken.append(number)
                continue
            marks[_key_of(judgment)] = judgment
        self._marks, self._state = marks, state
        self._problems = _describe(self.path, broken)

    def _append(self, judgment: Judgment) -> None:
        """Write one line in one call, after whatever a writer that was killed left unfinished."""
        # ASCII: a file name may hold what UTF-8 cannot.
        line = json.dumps(msgspec.to_builtins(judgment)).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            file = os.open(self.path, flags, 0o600)
            try:
                size = os.fstat(file).st_size
                if size:
                    os.lseek(file, size - 1, os.SEEK_SET)
                    line = line if os.read(file, 1) == b"\n" else b"\n" + line
                if os.write(file, line) < len(line):
                    raise OSError("the disk is full")
            finally:
                os.close(file)
        except OSError as error:
            raise _failure("The mark could not be saved", self.path, error) from error


def text_digest(text: str) -> str:
    """Give the name under which the text of a passage is known: 32 hex digits of its sha256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _key(question: str, context: str, passage: Passage) -> _Key:
    chunk = passage.chunk
    return (question, context, chunk.folder, chunk.note_path, text_digest(chunk.text))


def _key_of(judgment: Judgment) -> _Key:
    return (
        judgment.question,
        judgment.context,
        judgment.folder,
        judgment.note_path,
        judgment.text_digest,
    )


def _state(path: Path) -> _State:
    """Give what tells whether a file changed; nothing when it is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _describe(path: Path, broken: list[int]) -> tuple[str, ...]:
    if not broken:
        return ()
    what = f"Line {broken[0]}" if len(broken) == 1 else f"{len(broken)} lines, {broken[0]} first,"
    return (
        f"{what} of {path} cannot be read and does not count. Correct or delete it there; "
        "the other marks are not affected.",
    )


def _failure(title: str, path: Path, error: OSError) -> JudgmentError:
    return JudgmentError(
        f"{title} ({error.strerror or error}).", f"Look at {path}, then try again."
    )
