"""What was found out about large files, kept so that it need not be found out again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path


class Digests:
    """SHA-256 of files, and numbers that follow from them, in one JSON file.

    A digest holds as long as the file's size, inode and time of change do. Where nothing can be
    kept (no ``path``, a disk that is full or read-only) everything is found out anew.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept: dict[str, list[int | str]] | None = None

    def of_file(self, path: Path) -> str:
        """Give the SHA-256 of a file in hex. Raises ``OSError``."""
        place = os.path.realpath(path)
        facts = Path(place).stat()
        state: list[int | str] = [facts.st_size, facts.st_mtime_ns, facts.st_ino]
        with self._lock:
            known = self._all().get(place, [])
        if known[:-1] == state:
            return str(known[-1])
        with Path(place).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._keep(place, [*state, digest])
        return digest

    def number(self, name: str, find_out: Callable[[], int]) -> int:
        """Give a number by the name of what it follows from."""
        with self._lock:
            known = self._all().get(name)
        if known and isinstance(known[0], int):
            return known[0]
        found = find_out()
        self._keep(name, [found])
        return found

    def _all(self) -> dict[str, list[int | str]]:
        if self._kept is None:
            self._kept = {}
            with contextlib.suppress(OSError, ValueError, AttributeError):
                found = json.loads(self._path.read_bytes()) if self._path else {}
                self._kept = {k: v for k, v in found.items() if isinstance(v, list) and v}
        return self._kept

    def _keep(self, key: str, value: list[int | str]) -> None:
        with self._lock:
            self._kept = None  # Another process may have kept something meanwhile.
            kept = {**self._all(), key: value}
            self._kept = kept
            if self._path is None:
                return
            draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            with contextlib.suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                draft.write_text(json.dumps(kept))
                draft.replace(self._path)
