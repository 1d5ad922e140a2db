"""What travels over the local socket: every type whole, every field, and nothing malformed."""

from __future__ import annotations

import dataclasses
import socket
import struct
import threading
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrieval.types
from app.errors import AppError, ServiceDied
from app.services import wire
from app.services.wire import Cancel, Line, NotSendableError, WireError
from app.settings import IndexSettings, SearchSettings, Settings
from retrieval.errors import FolderError
from retrieval.types import Filters, IndexStatus, Query, SearchResult

PLAIN = {str: "søk ✓", int: 7, float: 0.1, bool: True, Path: Path("/notes/a b")}
VALUES = [
    kind
    for name, kind in vars(retrieval.types).items()
    if dataclasses.is_dataclass(kind) and name in retrieval.types.__all__
]


def filled(kind: Any) -> Any:  # noqa: ANN401 (whatever the types hold)
    """Build a value with every field set to something that is not its default."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: filled(hints[field.name]) for field in dataclasses.fields(kind)})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return arguments[-1]
    if origin in (types.UnionType, typing.Union):
        return filled(next(each for each in arguments if each is not type(None)))
    if origin is tuple:
        return tuple(filled(each) for each in arguments if each is not ...)
    return PLAIN[kind]


@pytest.fixture
def ends() -> Iterator[tuple[Line, socket.socket]]:
    ours, theirs = socket.socketpair()
    line = Line(ours)
    yield line, theirs
    line.close()
    theirs.close()


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_every_value_travels_with_every_field(kind: type) -> None:
    value = filled(kind)
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING and field.type != "bool":
            assert getattr(value, field.name) != field.default, field.name
    assert wire.decode(wire.encode(value), kind) == value


@pytest.mark.parametrize("method", wire.SIGNATURES)
def test_every_method_can_be_asked_and_answered(method: str) -> None:
    arguments, result = wire.SIGNATURES[method]
    for kind in (arguments, result):
        value = filled(kind)
        assert wire.decode(wire.encode(value), kind) == value
    assert wire.decode(wire.encode(None), wire.SIGNATURES["forget"][1]) is None


@given(
    st.builds(
        Query,
        text=st.text(st.characters(codec="utf-8")),
        k=st.integers(0, 1000),
        filters=st.builds(
            Filters,
            paths=st.tuples(st.text(st.characters(codec="utf-8"))),
            after=st.none() | st.floats(allow_nan=False),
        ),
    )
)
def test_any_query_travels(query: Query) -> None:
    (read,) = wire.decode(wire.make_request("search", (query,)).arguments, tuple[Query])
    assert read == query


def test_what_cannot_travel_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (Query("\udc80"), Query("x", k=10**30), object()):
        with pytest.raises(NotSendableError):
            wire.encode(value)
    monkeypatch.setattr(wire, "MAX_FRAME", 10)
    with pytest.raises(NotSendableError, match="more than 10"):
        wire.encode("x" * 11)


def test_a_wrong_type_is_refused() -> None:
    with pytest.raises(WireError):
        wire.decode(wire.encode(filled(IndexStatus)), SearchResult)
    with pytest.raises(WireError):
        wire.decode(b"\xc1", Query)


def test_errors_come_back_as_what_they_were() -> None:
    for error in (FolderError("There is none.", "Make one."), ServiceDied("Gone.", "")):
        back = wire.revive_failure(wire.describe_failure(error))
        assert type(back) is type(error)
        assert back.args == error.args
    strange = wire.revive_failure(wire.describe_failure(KeyError("a\udc80")))
    assert type(strange) is AppError
    assert "a\\udc80" in str(strange)


def test_identities_tell_versions_fields_settings_and_places_apart(tmp_path: Path) -> None:
    usual = wire.identify(tmp_path, Settings())
    assert usual == wire.identify(tmp_path / "x" / "..", Settings())
    for settings in (
        Settings(index=IndexSettings(embedder="other/model")),
        Settings(index=IndexSettings(vectors="http://host:8000")),
        Settings(index=IndexSettings(max_megabytes=1.0)),
        Settings(search=SearchSettings(reranker="some/model")),
    ):
        assert wire.identify(tmp_path, settings) != usual
    shown = Settings(index=IndexSettings(watch=False), search=SearchSettings(passages=3))
    assert wire.identify(tmp_path, shown) == usual
    assert wire.identify(tmp_path / "x", Settings()) != usual


def test_frames_arrive_in_pieces_and_together(ends: tuple[Line, socket.socket]) -> None:
    line, theirs = ends
    body = msgspec.msgpack.encode(Cancel())
    frame = struct.pack(">I", len(body)) + body
    theirs.sendall(frame[:2])
    assert line.receive(wire.Asking, 0.01) is None
    theirs.sendall(frame[2:-1])
    assert line.receive(wire.Asking, 0.01) is None
    theirs.sendall(frame[-1:] + frame)
    assert line.receive(wire.Asking, 5) == Cancel()
    assert line.receive(wire.Asking, 5) == Cancel()


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", wire.MAX_FRAME + 1),
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        struct.pack(">I", 0),
        b"",
    ],
    ids=["too long", "no msgpack", "empty", "nothing"],
)
def test_anything_else_ends_the_line(ends: tuple[Line, socket.socket], data: bytes) -> None:
    line, theirs = ends
    theirs.sendall(data)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(WireError):
        line.receive(wire.Asking, 5)


def test_what_is_offered_is_dropped_when_nobody_reads(ends: tuple[Line, socket.socket]) -> None:
    line, _ = ends
    progress = wire.Event(filled(retrieval.types.Progress))
    done = threading.Event()

    def offer_much() -> None:
        for _ in range(100_000):
            line.offer(progress)
        done.set()

    threading.Thread(target=offer_much, daemon=True).start()
    assert done.wait(30)
