"""The client's end of the local socket: the index, as a command sees it while the app is open."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import ServiceDied
from app.services import SOCKET_NAME
from retrieval.notes import resolve_folder
from retrieval.types import (
    Cancelled,
    Forgotten,
    IndexReport,
    IndexStatus,
    Query,
    Report,
    SearchResult,
    ignore_progress,
    never_cancelled,
)

if TYPE_CHECKING:
    from app.services.address import Place, UidOf
    from app.services.wire import Identity, Line
    from app.settings import Settings
    from app.tools import Notes

CONNECT_SECONDS = 0.5
"""Time that the other process has to say who it is; for reading, a slow one is done without."""

SILENCE_SECONDS = 15.0
"""Time without a sign of life after which the other process is given up."""

POLL_SECONDS = 0.1
"""Pause between looks at whether the person wants to stop."""


class _LostError(Exception):
    """The other process ended, hangs, or cannot send the answer."""


class RemoteNotes:
    """The index that another process of this user has open.

    When that process ends in the middle, or cannot send what it found, ``open_here`` opens the
    index in this one: for what reads, nobody notices more than the time. One that is slow to say
    who it is may be loading the embedder: reading does without it, writing waits for a while, since
    it probably holds the lock.
    """

    def __init__(
        self, line: Line, open_here: Callable[[], Notes], awaited: Identity | None = None
    ) -> None:
        self._line = line
        self._open_here = open_here
        self._awaited = awaited
        self._opened: Notes | None = None

    def index(
        self,
        folder: Path,
        report: Report = ignore_progress,
        cancelled: Cancelled = never_cancelled,
        name: str | None = None,
    ) -> IndexReport:
        """Bring the index of a folder up to date.

        Raises ``RetrievalError``, and ``ServiceDied`` when the other process ends.
        """
        path = resolve_folder(folder)
        if not self._is_there(SILENCE_SECONDS):
            return self._here().index(path, report, cancelled, name=name)
        with self._reported():
            arguments = (path, name)
            done: IndexReport = self._ask("index", arguments, report, cancelled)
        return done

    def forget(self, folder: Path) -> Forgotten | None:
        """Take a folder out of the index. Raises as ``index`` does."""
        path = resolve_folder(folder)
        if not self._is_there(SILENCE_SECONDS):
            return self._here().forget(path)
        with self._reported():
            done: Forgotten | None = self._ask("forget", (path,))
        return done

    def search(self, query: Query) -> SearchResult:
        """Find passages. Raises ``RetrievalError``."""
        if self._is_there(0):
            with contextlib.suppress(_LostError):
                found: SearchResult = self._ask("search", (query,))
                return found
        return self._here().search(query)

    def status(self, folder: Path | None = None) -> IndexStatus:
        """Tell what is in the index. Raises ``RetrievalError``."""
        path = None if folder is None else resolve_folder(folder)
        if self._is_there(0):
            with contextlib.suppress(_LostError):
                now: IndexStatus = self._ask("status", (path,))
                return now
        return self._here().status(path)

    def close(self) -> None:
        """End the connection; what was asked for and is under way is cancelled."""
        self._line.close()
        if self._opened is not None:
            self._opened.close()

    def _is_there(self, seconds: float) -> bool:
        """Say whether the other process can be asked, once it has said who it is."""
        from app.services.wire import WireError

        if self._awaited is not None and self._opened is None:
            with contextlib.suppress(WireError):
                if greet(self._line, self._awaited, seconds):
                    self._awaited = None
        return self._opened is None and self._awaited is None

    def _here(self) -> Notes:
        if self._opened is None:
            self._line.close()
            self._opened = self._open_here()
        return self._opened

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn a loss into an error: what changes the index is not tried twice unasked."""
        try:
            yield
        except _LostError as error:
            raise ServiceDied(
                "The app that had the index open ended before this was done.",
                "What was done is kept. Run the command again.",
            ) from error

    def _ask(
        self,
        method: str,
        arguments: tuple[object, ...],
        report: Report = ignore_progress,
        cancelled: Cancelled = never_cancelled,
    ) -> Any:  # noqa: ANN401 (as SIGNATURES say)
        from app.services import wire

        try:
            self._line.send(wire.make_request(method, arguments))
            return self._wait(wire.SIGNATURES[method][1], report, cancelled)
        except (wire.WireError, wire.NotSendableError) as error:
            raise _LostError from error
        except KeyboardInterrupt:
            self._line.close()  # The other process cancels what nobody waits for.
            raise

    def _wait(self, kind: Any, report: Report, cancelled: Cancelled) -> Any:  # noqa: ANN401
        from app.services import wire

        heard = time.monotonic()
        stopping = False
        while True:
            if not stopping and cancelled():
                stopping = True
                self._line.send(wire.Cancel())
            message = self._line.receive(wire.Answering, POLL_SECONDS)
            if message is None:
                if time.monotonic() - heard > SILENCE_SECONDS:
                    raise wire.WireError("no sign of life")
                continue
            heard = time.monotonic()
            if isinstance(message, wire.Event):
                report(message.progress)
            elif isinstance(message, wire.Failure):
                raise wire.revive_failure(message)
            elif isinstance(message, wire.Result):
                return wire.decode(message.value, kind)
            elif isinstance(message, wire.Unsendable):
                raise wire.NotSendableError(kind)


def connect(
    directory: Path,
    settings: Settings,
    open_here: Callable[[], Notes],
    uid_of: UidOf | None = None,
) -> RemoteNotes | None:
    """Reach the process that has an index open; None when the caller has to open it itself.

    That is so when there is no such process, it belongs to somebody else, it is another version of
    Alcove, or it has other settings. Takes half a second at most.
    """
    if not os.path.lexists(directory / SOCKET_NAME):
        return None
    from app.services.address import Place, peer_uid
    from app.services.wire import WireError, identify

    place = Place(directory)
    ours = identify(directory, settings)
    line = _call(place, uid_of or peer_uid)
    if line is None:
        return None
    try:
        greeted = greet(line, ours, CONNECT_SECONDS)
    except WireError:
        line.close()
        return None
    return RemoteNotes(line, open_here, None if greeted else ours)


def greet(line: Line, ours: Identity, seconds: float) -> bool:
    """Exchange identities; false when the other end has not said its own after some seconds.

    Raises ``WireError`` when it is another one.
    """
    from app.services.wire import Identity, WireError

    theirs = line.receive(Identity, seconds)
    if theirs is None:
        return False
    if theirs != ours:
        raise WireError("another version, index or settings")
    line.send(ours)
    return True


def _call(place: Place, uid_of: UidOf) -> Line | None:
    from app.services.address import NotOursError, require_same_user
    from app.services.wire import Line

    try:
        connection = place.connect(CONNECT_SECONDS)
    except (OSError, NotOursError):
        return None
    try:
        require_same_user(connection, uid_of)
        return Line(connection)
    except (OSError, NotOursError):
        connection.close()
        return None
