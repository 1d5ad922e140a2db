"""Where an index lies: one generation answers while the next is built beside it.

    index/
      current            names the generation that answers; missing while that is the first one
      write.lock         one writer for all generations
      index.sqlite3 ...  generation 0, at the top
      generation-1/      the next one, under construction or current

A generation becomes current when ``current`` is replaced, which is one rename: a process sees
the old one or the new one, never anything between. Whoever has a generation open holds a shared
lock on its ``.in-use`` file, so the old one is deleted when nobody needs it any more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path

from retrieval.errors import IndexDamagedError

_POINTER = "current"
_PREFIX = "generation-"
_FIRST = ("index.sqlite3", "index.sqlite3-wal", "index.sqlite3-shm", "chroma")
"""What generation 0 consists of: it shares its directory with the others."""


class Generations:
    """The generations of one index directory, by number."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def current(self) -> int:
        """Give the number of the generation that answers. Raises ``IndexDamagedError``."""
        pointer = self._directory / _POINTER
        try:
            name = pointer.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return 0
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(str(error)) from error
        number = _number_of(name)
        if number is None:
            raise self._unreadable(f"it says {name!r}")
        return number

    def require(self, number: int) -> None:
        """Raise ``IndexDamagedError`` when the generation that answers is not there."""
        if number and not self.directory(number).is_dir() and self.current() == number:
            raise self._unreadable(f"it names {_PREFIX}{number}, which is not there")

    def directory(self, number: int) -> Path:
        """Give the directory of a generation."""
        return self._directory / f"{_PREFIX}{number}" if number else self._directory

    def switch(self, number: int) -> None:
        """Have a generation answer from now on, in every process, even after a power cut."""
        pointer = self._directory / _POINTER
        fresh = pointer.with_suffix(".new")
        with fresh.open("w", encoding="ascii") as file:
            file.write(f"{_PREFIX}{number}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(pointer)
        _sync_directory(self._directory)

    def hold(self, number: int) -> Use:
        """Keep a generation from being deleted until the answer is released."""
        return Use(self._in_use(number))

    def leftovers(self, *, keep_next: bool) -> list[int]:
        """Give the generations that are neither current nor, if that is wanted, being built."""
        current = self.current()
        kept = {current, current + 1} if keep_next else {current}
        found = {0} if any((self._directory / name).exists() for name in _FIRST) else set()
        for entry in self._directory.glob(f"{_PREFIX}*"):
            number = _number_of(entry.name)
            if number is not None and entry.is_dir():
                found.add(number)
        return sorted(found - kept)

    def delete(self, number: int) -> bool:
        """Delete a generation unless somebody has it open; the write lock must be held."""
        lock = self._in_use(number)
        use = Use(lock, alone=True)
        if not use.granted:
            return False
        try:
            # The database goes first: without it the rest is plainly a leftover.
            names = _FIRST if number == 0 else ("index.sqlite3", "")
            for name in names:
                _remove(self.directory(number) / name)
            lock.unlink(missing_ok=True)
        except OSError:
            return False  # Open somewhere, where that protects a file; the next opening tries.
        finally:
            use.release()
        return True

    def _in_use(self, number: int) -> Path:
        return self._directory / f"{_PREFIX}{number}.in-use"

    def _unreadable(self, why: str) -> IndexDamagedError:
        return IndexDamagedError(
            f"The file {self._directory / _POINTER} cannot be read ({why}). "
            "Your notes are untouched.",
            f"Delete the folder {self._directory} and index your notes again.",
        )


class Use:
    """A lock on a generation: shared by those who read it, taken alone to delete it."""

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        self._descriptor: int | None = None
        self.granted = True
        """Whether the lock was to be had."""
        if sys.platform == "win32":
            return  # An open file cannot be deleted there, which is all that is asked.
        import fcntl

        mode = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            self.granted = False
            self.release()
        except OSError:  # Opening the index will say what is wrong with its directory.
            self.granted = not alone
            self.release()

    def release(self) -> None:
        """Let go of it; idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _number_of(name: str) -> int | None:
    digits = name.removeprefix(_PREFIX)
    return int(digits) if name.startswith(_PREFIX) and digits.isdecimal() else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    """Have the rename itself reach the disk, where a directory can be opened for that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
