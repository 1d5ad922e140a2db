"""What travels over the local socket: msgpack of known types, nothing that could run as code.

A frame is a four-byte big-endian length and a msgpack document. Which types a method takes and
gives stands in a table; their fields are read from the dataclasses, so a new field travels by
itself, and two programs whose fields differ tell so in their first words.
"""

from __future__ import annotations

import contextlib
import dataclasses
import select
import socket
import struct
import threading
import time
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

import app.errors
import retrieval.errors
import retrieval.types
from app import __version__
from app.errors import AppError
from app.settings import Settings
from retrieval.errors import RetrievalError
from retrieval.types import (
    Forgotten,
    IndexReport,
    IndexStatus,
    Progress,
    Query,
    SearchResult,
)

MAX_FRAME = 64_000_000
"""Bytes of the largest frame that is sent or read."""

ALIVE_SECONDS = 1.0
"""Pause between the signs of life of a service that works on a request."""

SIGNATURES: Mapping[str, tuple[Any, Any]] = {
    "search": (tuple[Query], SearchResult),
    "index": (tuple[Path, str | None], IndexReport),
    "forget": (tuple[Path], Forgotten | None),
    "status": (tuple[Path | None], IndexStatus),
}
"""The methods that the socket offers: types of their arguments and of their result."""

ERRORS: Mapping[str, type[Exception]] = {
    name: kind
    for module in (app.errors, retrieval.errors)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, (AppError, RetrievalError))
}
"""Errors that travel, by name."""

_LENGTH = struct.Struct(">I")
_UNWRITABLE = (ValueError, OverflowError, TypeError, RuntimeError, msgspec.MsgspecError)
_SEND_TIMEOUT = struct.pack("ll", 10, 0)  # A timeval: a peer that reads nothing is given up.


class WireError(Exception):
    """The connection ended or what came over it makes no sense: it cannot be used any more."""


class NotSendableError(Exception):
    """A value that cannot travel: text that is not Unicode, a number or frame too large."""


class Identity(msgspec.Struct, frozen=True):
    """The first words of both sides; they talk on only when these are equal."""

    version: str
    """Version of Alcove."""
    types: int
    """Checksum of the names and types of all fields that travel."""
    index: str
    """The index directory, links followed."""
    settings: str
    """The settings that decide what is indexed and how it is searched."""


class Request(msgspec.Struct, frozen=True, tag="request"):
    """A call of a method; one at a time on a connection."""

    method: str
    """A name of ``SIGNATURES``."""
    arguments: msgspec.Raw
    """Its arguments."""


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """A wish that the request under way stops soon; it still ends with a result or a failure."""


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """A sign of life from a service at work."""


class Event(msgspec.Struct, frozen=True, tag="event"):
    """How far the request under way is."""

    progress: Progress
    """Its progress."""


class Result(msgspec.Struct, frozen=True, tag="result"):
    """The end of a request that went well."""

    value: msgspec.Raw
    """What the method returned."""


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The end of a request that failed."""

    kind: str
    """A name of ``ERRORS``."""
    title: str
    """What happened."""
    remedy: str
    """What to do about it."""


class Unsendable(msgspec.Struct, frozen=True, tag="unsendable"):
    """The end of a request with a result that cannot travel."""


Asking = Request | Cancel
"""What a client sends after its identity."""

Answering = Alive | Event | Result | Failure | Unsendable
"""What a service sends after its identity."""


def identify(index: Path, settings: Settings) -> Identity:
    """Build the identity of a program that works on an index with these settings."""
    # What only the app looks at makes no difference.
    about_index = msgspec.structs.replace(settings.index, watch=True)
    about_search = msgspec.structs.replace(settings.search, passages=8)
    text = msgspec.json.encode((about_index, about_search)).decode()
    return Identity(__version__, _checksum_of_types(), str(index.resolve()), text)


def encode(value: object) -> bytes:
    """Write a value as msgpack. Raises ``NotSendableError``."""
    try:
        data = msgspec.msgpack.encode(value, enc_hook=_write_path)
    except _UNWRITABLE as error:
        raise NotSendableError(str(error)) from error
    if len(data) > MAX_FRAME:
        raise NotSendableError(f"{len(data)} bytes are more than {MAX_FRAME}")
    return data


def make_request(method: str, arguments: tuple[object, ...]) -> Request:
    """Write a call down. Raises ``NotSendableError``."""
    return Request(method, msgspec.Raw(encode(arguments)))


@cache
def decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:  # noqa: ANN401 (a union is no type)
    """Give the decoder of a type; what it decodes raises ``msgspec.MsgspecError``."""
    return msgspec.msgpack.Decoder(kind, dec_hook=_read_path)


def decode(data: bytes | msgspec.Raw, kind: Any) -> Any:  # noqa: ANN401 (as the caller says)
    """Read a value of a type. Raises ``WireError``."""
    try:
        return decoder(kind).decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WireError(f"not understood: {error}") from error


def describe_failure(error: Exception) -> Failure:
    """Write an error down; one that is not ours travels as an ``AppError``."""
    title, remedy = getattr(error, "title", str(error)), getattr(error, "remedy", "")
    kind = type(error).__name__
    readable = [text.encode("utf-8", "backslashreplace").decode() for text in (title, remedy)]
    return Failure(kind if kind in ERRORS else "AppError", *readable)


def revive_failure(failure: Failure) -> Exception:
    """Make the error that a failure tells of."""
    return ERRORS.get(failure.kind, AppError)(failure.title, failure.remedy)


class Line:
    """One end of a connection. One thread may read while others write."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
        self._connection = connection
        self._buffer = bytearray()
        self._readable = _poll(connection, select.POLLIN)
        self._writable = _poll(connection, select.POLLOUT)
        self._write_lock = threading.Lock()

    def send(self, message: object) -> None:
        """Send a message. Raises ``NotSendableError``, and ``WireError`` when nobody reads."""
        self.send_bytes(encode(message))

    def offer(self, message: object) -> None:
        """Send a message unless the other end is slow to read. Raises ``WireError``."""
        if self._writable.poll(0):
            self.send(message)

    def send_bytes(self, data: bytes) -> None:
        """Send a frame. Raises ``WireError``."""
        try:
            with self._write_lock:
                self._connection.sendall(_LENGTH.pack(len(data)) + data)
        except OSError as error:
            self.hang_up()  # Half a frame may be out.
            raise WireError(str(error)) from error

    def receive(self, kind: Any, seconds: float | None = None) -> Any:  # noqa: ANN401
        """Read a message of a type; None when it is not all there after some seconds.

        Raises ``WireError`` when the other end is gone or sends anything else.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while (frame := self._frame()) is None:
            left = None if deadline is None else max(deadline - time.monotonic(), 0) * 1000
            if not self._readable.poll(left):
                return None
            try:
                data = self._connection.recv(1 << 18)
            except OSError as error:
                raise WireError(str(error)) from error
            if not data:
                raise WireError("the other end is gone")
            self._buffer += data
        return decode(frame, kind)

    def hang_up(self) -> None:
        """End the connection for both sides; threads that read or write are told. Idempotent."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up and forget the connection; no thread may use it any more. Idempotent."""
        self.hang_up()
        self._connection.close()

    def _frame(self) -> bytes | None:
        """Take a whole frame from what has come."""
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_FRAME:
            raise WireError(f"a frame of {length} bytes")
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        frame = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return frame


def _poll(connection: socket.socket, events: int) -> select.poll:
    poll = select.poll()
    poll.register(connection, events)
    return poll


def _checksum_of_types() -> int:
    kinds = [kind for kind in vars(retrieval.types).values() if dataclasses.is_dataclass(kind)]
    shape = [
        (getattr(kind, "__name__", ""), [(f.name, f.type) for f in dataclasses.fields(kind)])
        for kind in kinds
    ]
    return zlib.crc32(repr((sorted(shape), sorted(SIGNATURES))).encode())


def _write_path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value).__name__)


def _read_path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind.__name__)
