"""Where the local socket is, and whose it is.

It is ``index.sock`` in the index directory, readable and writable for this user alone. A path
that is too long for a socket's address is gone through by the directory's descriptor (Linux);
elsewhere ``index.sock`` is then a file that names a socket in a private temporary folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from app.services import SOCKET_NAME

LONGEST = 100
"""Bytes of a path that fit a socket's address on every system."""

DESCRIPTORS = Path("/proc/self/fd")
"""Where Linux lists a process's open files as paths."""

PROBE_SECONDS = 0.2
"""Time that another process's socket has to accept a connection."""

UidOf = Callable[[socket.socket], int | None]
"""Tells the user at the other end; None when the system cannot."""


class NotOursError(Exception):
    """The socket, its folder or the process behind it belongs to somebody else."""


class Place:
    """The address of the socket of one index directory."""

    def __init__(self, directory: Path, descriptors: Path = DESCRIPTORS) -> None:
        self._directory = directory
        self._descriptors = descriptors
        self.path = directory / SOCKET_NAME
        """The socket, or the file that names it."""

    def exists(self) -> bool:
        """Whether there is any sign of a socket; costs one system call."""
        return os.path.lexists(self.path)

    def connect(self, seconds: float) -> socket.socket:
        """Connect to the socket there is. Raises ``OSError`` and ``NotOursError``."""
        _require_ours(self._directory, stat.S_ISDIR)
        target = self._target()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(seconds)
        try:
            with self._short(target) as name:
                connection.connect(name)
        except BaseException:
            connection.close()
            raise
        return connection

    def bind(self) -> socket.socket | None:
        """Bind the socket, in place of one that nobody serves; None when somebody does.

        Raises ``OSError`` and ``NotOursError``.
        """
        _require_ours(self._directory, stat.S_ISDIR)
        with (self._directory / f"{SOCKET_NAME}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.exists() and self._served():
                return None
            self.remove()
            return self._bind()

    def _target(self) -> Path:
        """Find the socket itself. Raises ``OSError`` and ``NotOursError``."""
        target = self.path
        if stat.S_ISREG(target.lstat().st_mode):
            _require_ours(target, stat.S_ISREG)
            target = Path(target.read_text(errors="replace").replace("\0", ""))
            _require_ours(target.parent, stat.S_ISDIR)
        _require_ours(target, stat.S_ISSOCK)
        return target

    def _served(self) -> bool:
        try:
            self.connect(PROBE_SECONDS).close()
        except (TimeoutError, BlockingIOError):
            return True  # Somebody is there, only slow, or asked by many.
        except (OSError, NotOursError):
            return False
        return True

    def _bind(self) -> socket.socket:
        """Bind in a folder that nobody else can enter, then move into place.

        So it is never there with wider rights, whatever the process's umask.
        """
        import shutil  # Clients, which are to be quick, do without.
        import tempfile

        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            private = Path(tempfile.mkdtemp(prefix=".sock-", dir=self._directory))
            try:
                fresh = private / "s"
                if self._reachable(fresh):
                    with self._short(fresh) as name:
                        listening.bind(name)
                else:
                    elsewhere = Path(tempfile.mkdtemp(prefix="alcove-", dir="/tmp")) / "s"
                    listening.bind(str(elsewhere))
                    elsewhere.chmod(0o600)
                    fresh.write_text(str(elsewhere))
                fresh.chmod(0o600)
                listening.listen(16)
                fresh.replace(self.path)
            finally:
                shutil.rmtree(private, ignore_errors=True)
        except BaseException:
            listening.close()
            raise
        return listening

    def remove(self) -> None:
        """Take the socket away; the caller knows that it is its own."""
        with contextlib.suppress(OSError, NotOursError):
            target = self._target()
            if target != self.path:
                target.unlink()
                target.parent.rmdir()
        self.path.unlink(missing_ok=True)

    def identity(self) -> tuple[int, int]:
        """Tell which file it is: device and inode. Raises ``OSError``."""
        found = self.path.lstat()
        return found.st_dev, found.st_ino

    def _reachable(self, path: Path) -> bool:
        return len(os.fsencode(path)) <= LONGEST or self._descriptors.is_dir()

    @contextlib.contextmanager
    def _short(self, path: Path) -> Iterator[str]:
        """Give an address for a path that holds during the block."""
        if len(os.fsencode(path)) <= LONGEST:
            yield str(path)
            return
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield str(self._descriptors / str(folder) / path.name)
        finally:
            os.close(folder)


def require_same_user(connection: socket.socket, uid_of: UidOf) -> None:
    """Check that this user is at the other end. Raises ``OSError`` and ``NotOursError``."""
    uid = uid_of(connection)
    if uid is not None and uid != os.geteuid():
        raise NotOursError(f"the process behind the socket belongs to user {uid}")


def peer_uid(connection: socket.socket) -> int | None:
    """Ask the system who is at the other end. Raises ``OSError``."""
    if hasattr(socket, "SO_PEERCRED"):
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", data)[1])
    if sys.platform == "darwin":
        # struct xucred of LOCAL_PEERCRED: a version, then the user.
        return int(struct.unpack_from("II", connection.getsockopt(0, 1, 76))[1])
    return None


def _require_ours(path: Path, is_kind: Callable[[int], bool]) -> None:
    found = path.stat() if is_kind is stat.S_ISDIR else path.lstat()
    if found.st_uid != os.geteuid() or not is_kind(found.st_mode):
        raise NotOursError(f"{path} is not ours")
