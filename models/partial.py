"""A file that is arriving: kept over restarts, verified whole, named last."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from models.errors import DownloadCancelled, DownloadError
from models.types import Cancelled

_CHUNK = 1 << 20


@dataclass(slots=True)
class PartialFile:
    """A file on its way to ``target``: what has arrived, and the checksum of it."""

    target: Path
    """The name it gets once it is whole and verified."""
    cancelled: Cancelled
    """Asked before each piece."""
    done: int = 0
    """Bytes that have arrived."""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    """Checksum of those bytes."""

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

    def begin_anew(self) -> None:
        """Forget what has arrived."""
        self.part.write_bytes(b"")
        self.digest, self.done = hashlib.sha256(), 0

    def take_up(self, etag: str, size: int) -> None:
        """Read what an earlier download left, if it is a part of the same content."""
        self.digest, self.done = hashlib.sha256(), 0
        known = _read_note(self.note)
        have = self.part.stat().st_size if self.part.exists() else 0
        same = known == {"etag": etag, "size": size}
        if not same or have > size:
            self.begin_anew()
            self.note.write_text(json.dumps({"etag": etag, "size": size}))
            return
        with self.part.open("ab"), self.part.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self.stop_if_cancelled()
                self.digest.update(chunk)
                self.done += len(chunk)

    def append(self, file: BinaryIO, chunk: bytes) -> None:
        """Write the next piece to ``part``, open for appending."""
        file.write(chunk)
        self.digest.update(chunk)
        self.done += len(chunk)

    def finish(self, sha256: str) -> None:
        """Verify the whole and give it its name. Raises ``DownloadError``."""
        if sha256 and self.digest.hexdigest() != sha256.lower():
            self.discard()
            raise DownloadError(
                f"{self.target.name} arrived damaged: its checksum is not the announced one.",
                "Download it again. If that fails too, choose another repository.",
            )
        with self.part.open("rb+") as part:
            os.fsync(part.fileno())
        self.part.replace(self.target)
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
