"""What travels over the pipe between the app and a child process.

Frames are a four-byte big-endian length and a pickle. Both ends are our own code, started by the
same person on the same machine, and the pipe has no name, so pickle meets only its own output.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import BinaryIO

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Call:
    """A request to run a method of the service."""

    id: int
    """Number of the request, unique in the process that asks."""
    method: str
    """Name of the method."""
    args: tuple[object, ...]
    """Its arguments."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """A request to stop another request soon."""

    id: int
    """Number of the request to stop."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a running request tells before its end: progress, a piece of an answer."""

    id: int
    """Number of the request."""
    value: object
    """What it tells."""


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a request that went well."""

    id: int
    """Number of the request."""
    value: object
    """What the method returned."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a request that failed."""

    id: int
    """Number of the request."""
    error: Exception
    """The error to raise where the request was made."""


Message = Call | Cancel | Event | Result | Failure
"""Anything that travels."""


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write one frame and flush it. Raises ``OSError`` when the other end is gone."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


def read_message(stream: BinaryIO) -> Message | None:
    """Read one frame; None when the other end is gone, also in the middle of a frame.

    Raises whatever unpickling raises when the bytes are not a frame.
    """
    head = _read(stream, _LENGTH.size)
    if head is None:
        return None
    body = _read(stream, _LENGTH.unpack(head)[0])
    if body is None:
        return None
    message = pickle.loads(body)
    if not isinstance(message, (Call, Cancel, Event, Result, Failure)):
        raise pickle.UnpicklingError(f"unexpected {type(message).__name__}")
    return message


def _read(stream: BinaryIO, size: int) -> bytes | None:
    data = stream.read(size)
    return data if len(data) == size else None
