"""The service's end of the local socket: other programs of this user ask it as the app does."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from app.errors import AppError
from app.services.address import NotOursError, Place, UidOf, peer_uid, require_same_user
from app.services.child import Job, Method, presentable
from app.services.wire import (
    ALIVE_SECONDS,
    SIGNATURES,
    Alive,
    Asking,
    Cancel,
    Event,
    Identity,
    Line,
    NotSendableError,
    Request,
    Result,
    Unsendable,
    WireError,
    decode,
    describe_failure,
    encode,
)
from retrieval.types import Progress

logger = logging.getLogger("alcove.listener")

MAX_CONNECTIONS = 32
"""Connections at once; one more is closed, and its program opens the index by itself."""

HANDSHAKE_SECONDS = 5.0
"""Time that a program has to say who it is."""

AGAIN_SECONDS = 0.5
"""Pause after a connection that could not be taken: the process may be out of descriptors."""

_LOST = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}
"""Errors of a socket that will never take a connection again."""


class Listener:
    """Serves the methods of a service over the socket of an index directory.

    Each connection has a thread of its own, and so has its request: one that takes long holds up
    no other. A malformed frame closes its connection and nothing else.
    """

    def __init__(
        self,
        place: Place,
        identity: Identity,
        methods: Mapping[str, Method],
        uid_of: UidOf = peer_uid,
    ) -> None:
        """Bind the socket. Raises ``OSError`` and ``NotOursError``."""
        self._place = place
        self._identity = identity
        self._methods = methods
        self._uid_of = uid_of
        self._lines: set[Line] = set()
        self._lock = threading.Lock()
        self._socket = place.bind()
        if self._socket is not None:
            self._file = place.identity()
            threading.Thread(target=self._accept, name="listener", daemon=True).start()

    @property
    def listening(self) -> bool:
        """Whether this process has the socket; another one may have been first."""
        return self._socket is not None

    def close(self) -> None:
        """Take the socket away and end every connection. Idempotent."""
        listening, self._socket = self._socket, None
        if listening is None:
            return
        with contextlib.suppress(OSError):
            if self._place.identity() == self._file:
                self._place.remove()
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.hang_up()

    def _accept(self) -> None:
        while (listening := self._socket) is not None:
            connection = None
            try:
                connection, _ = listening.accept()
                threading.Thread(
                    target=self._serve, args=(connection,), name="connection", daemon=True
                ).start()
            except (OSError, RuntimeError) as error:
                if connection is not None:
                    connection.close()  # There is no thread to be had.
                if self._socket is None:
                    return
                if isinstance(error, OSError) and error.errno in _LOST:
                    logger.exception("the socket is lost")
                    self.close()
                    return
                logger.warning("a connection cannot be taken: %s", error)
                time.sleep(AGAIN_SECONDS)

    def _serve(self, connection: socket.socket) -> None:
        line = None
        try:
            require_same_user(connection, self._uid_of)
            line = Line(connection)
            with self._lock:
                if len(self._lines) >= MAX_CONNECTIONS:
                    return
                self._lines.add(line)
            line.send(self._identity)
            if line.receive(Identity, HANDSHAKE_SECONDS) == self._identity:
                _Conversation(line, self._methods).run()
        except (WireError, NotOursError, OSError) as error:
            logger.debug("a connection ends: %s", error)
        except Exception:
            logger.exception("a connection failed")
        finally:
            with self._lock:
                self._lines -= {line}
            (line or connection).close()


class _Conversation:
    """The requests of one connection, one at a time."""

    def __init__(self, line: Line, methods: Mapping[str, Method]) -> None:
        self._line = line
        self._methods = methods
        self._lock = threading.Lock()
        self._job: Job | None = None

    def run(self) -> None:
        """Serve until the other end is gone; what it asked for is then cancelled.

        Raises ``WireError`` at the end.
        """
        try:
            while True:
                message = self._line.receive(Asking, ALIVE_SECONDS)
                job = self._job
                if isinstance(message, Request):
                    self._start(message)
                elif isinstance(message, Cancel) and job is not None:
                    job.cancel()
                elif message is None and job is not None:
                    self._line.offer(Alive())
        finally:
            if (job := self._job) is not None:
                job.cancel()

    def _start(self, request: Request) -> None:
        if request.method not in SIGNATURES:
            raise WireError(f"no method {request.method!r}")
        arguments = decode(request.arguments, SIGNATURES[request.method][0])
        with self._lock:
            if self._job is not None:
                raise WireError("a request during another")
            job = self._job = Job(self._emit)
        work = (self._methods[request.method], arguments, job)
        threading.Thread(target=self._work, args=work, name=request.method, daemon=True).start()

    def _work(self, method: Method, arguments: tuple[object, ...], job: Job) -> None:
        try:
            message = encode(Result(msgspec.Raw(encode(method(job, *arguments)))))
        except NotSendableError as error:
            logger.info("a result cannot travel: %s", error)
            message = encode(Unsendable())
        except BaseException as error:  # Rust libraries panic with a bare one.
            message = encode(describe_failure(presentable(error)))
        with self._lock:
            self._job = None
        with contextlib.suppress(WireError):
            self._line.send_bytes(message)

    def _emit(self, value: object) -> None:
        """Tell progress, unless nobody listens any more or the other end is slow to."""
        if isinstance(value, Progress):
            with contextlib.suppress(WireError, NotSendableError):
                self._line.offer(Event(value))


def listen(
    directory: Path, identity: Identity, methods: Mapping[str, Method]
) -> Callable[[], None]:
    """Serve the socket of an index directory, and return what ends that.

    Without a socket other programs open the index by themselves: what stands in the way of one
    is logged.
    """
    if not hasattr(socket, "AF_UNIX"):
        return lambda: None
    try:
        listener = Listener(Place(directory), identity, methods)
    except (OSError, NotOursError, AppError) as error:
        logger.warning("no local socket: %s", error)
        return lambda: None
    if not listener.listening:
        logger.info("another process has the local socket")
    return listener.close
