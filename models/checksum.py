"""Checksums of model files: what the hub announces, and what a file on disk was found to have.

A checksum is written ``sha256:HEX`` (files in LFS) or ``git-sha1:HEX`` (git's blob id, for all
others; see ``git help hash-object``). What was once verified is kept in ``.alcove/NAME.json``
beside the file, and holds as long as the file's size and time of change do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

SHA256, GIT = "sha256", "git-sha1"

_CHUNK = 1 << 20
_BLOB_ID = re.compile(r"[0-9a-f]{40}")


def announced(sha256: str, blob_id: str) -> str:
    """Write as a checksum what a hub says of a file; empty when that is nothing of use."""
    if sha256:
        return f"{SHA256}:{sha256.lower()}"
    return f"{GIT}:{blob_id.lower()}" if _BLOB_ID.fullmatch(blob_id.lower()) else ""


class Checksummer:
    """A checksum of the kind of ``like``, built up piece by piece; sha256 when that is empty.

    ``size`` is the whole file's in bytes: git's blob id begins with it.
    """

    def __init__(self, like: str, size: int) -> None:
        self._kind = like.partition(":")[0] or SHA256
        if self._kind == GIT:
            self._hash = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        else:
            self._hash = hashlib.sha256()

    def update(self, chunk: bytes) -> None:
        """Take in the next piece."""
        self._hash.update(chunk)

    @property
    def checksum(self) -> str:
        """Checksum of the pieces so far."""
        return f"{self._kind}:{self._hash.hexdigest()}"

    def read(self, path: Path, tell: Callable[[int], None]) -> int:
        """Take in a file and return its bytes; ``tell`` hears of them, and raises to stop."""
        done = 0
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self.update(chunk)
                done += len(chunk)
                tell(done)
        return done


def remember(path: Path, checksum: str) -> None:
    """Keep the checksum that a file was found to have."""
    note = _note(path)
    with contextlib.suppress(OSError):  # where it cannot be kept the file is read again
        note.parent.mkdir(exist_ok=True)
        note.write_text(json.dumps({"checksum": checksum, **_state(path)}))


def remembered(path: Path) -> str:
    """Return the checksum kept for a file that has not changed since; empty when there is none."""
    try:
        known = json.loads(_note(path).read_text())
        checksum = known.pop("checksum")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return checksum if isinstance(checksum, str) and known == _state(path) else ""


def _note(path: Path) -> Path:
    return path.parent / ".alcove" / f"{path.name}.json"


def _state(path: Path) -> dict[str, int]:
    facts = path.stat()
    return {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns}
