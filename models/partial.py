"""A file that is arriving: kept over restarts, verified whole, named last."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from models.checksum import Checksummer, remember, remembered
from models.errors import DownloadCancelled, DownloadError
from models.types import Cancelled

Tell = Callable[[str, int], None]
"""Hears what is being done with a file and how many of its bytes are done."""


@dataclass(slots=True)
class PartialFile:
    """A file on its way to ``target``: what has arrived, and the checksum of it."""

    target: Path
    """The name it gets once it is whole and verified."""
    cancelled: Cancelled
    """Asked before each piece."""
    tell: Tell
    """Told how far it is."""
    done: int = 0
    """Bytes that have arrived."""
    _checksum: str = ""
    _size: int = 0
    _sum: Checksummer = field(default_factory=lambda: Checksummer("", 0))

    @property
    def part(self) -> Path:
        """Where the bytes are until then."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def note(self) -> Path:
        """Says which content ``part`` is a part of."""
        return self.target.with_name(self.target.name + ".part.json")

    def stop_if_cancelled(self) -> None:
        """Raise ``DownloadCancelled`` when the person wants that."""
        if self.cancelled():
            raise DownloadCancelled(
                f"The download of {self.target.name} was stopped.",
                "What has arrived is kept; the next download goes on from there.",
            )

    def is_whole(self, checksum: str, size: int) -> bool:
        """Tell whether ``target`` is there and holds the announced content.

        A file that nobody has verified yet is read once. Without an announced checksum the size
        has to do.
        """
        if not self.target.is_file() or self.target.stat().st_size != size:
            return False
        if not checksum or remembered(self.target) == checksum:
            return True
        kind = checksum.partition(":")[0]
        if remembered(self.target).startswith(f"{kind}:"):
            return False
        found = Checksummer(checksum, size)
        found.read(self.target, self._verifying)
        remember(self.target, found.checksum)
        return found.checksum == checksum

    def begin_anew(self) -> None:
        """Forget what has arrived."""
        self.part.write_bytes(b"")
        self._sum, self.done = Checksummer(self._checksum, self._size), 0

    def take_up(self, checksum: str, size: int) -> None:
        """Go on from what has arrived if it is a part of that content, else begin anew.

        Without a checksum nothing would show that two parts belong together, so it begins anew.
        """
        if checksum and (checksum, size) == (self._checksum, self._size):
            return
        self._checksum, self._size = checksum, size
        content = {"checksum": checksum, "size": size}
        have = self.part.stat().st_size if self.part.exists() else 0
        if not checksum or have > size or _read_note(self.note) != content:
            self.begin_anew()
            self.note.write_text(json.dumps(content))
            return
        self._sum = Checksummer(checksum, size)
        self.part.touch()
        self.done = self._sum.read(self.part, self._verifying)

    def _verifying(self, done: int) -> None:
        self.stop_if_cancelled()
        self.tell("verifying", done)

    def append(self, file: BinaryIO, chunk: bytes) -> None:
        """Write the next piece to ``part``, open for appending."""
        file.write(chunk)
        self._sum.update(chunk)
        self.done += len(chunk)

    def finish(self) -> None:
        """Verify the whole and give it its name. Raises ``DownloadError``."""
        found = self._sum.checksum
        if self._checksum and found != self._checksum:
            self.discard()
            raise DownloadError(
                f"{self.target.name} arrived damaged: its checksum is not the announced one.",
                "Download it again. If that fails too, choose another repository.",
            )
        with self.part.open("rb+") as part:
            os.fsync(part.fileno())
        self.part.replace(self.target)
        remember(self.target, found)
        self.note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Delete what has arrived."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _read_note(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
