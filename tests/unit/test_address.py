"""The socket's place: rights, owners, leftovers, and paths that are too long for it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from app.services import SOCKET_NAME as NAME
from app.services.address import (
    LONGEST,
    NotOursError,
    Place,
    peer_uid,
    require_same_user,
)

OTHER = Path("/no/such/folder")


def speak(place: Place, listening: socket.socket) -> None:
    """Connect, and have bytes arrive."""
    with place.connect(5) as client, listening.accept()[0] as server:
        server.sendall(b"hello")
        assert client.recv(5) == b"hello"
        require_same_user(client, peer_uid)
        require_same_user(server, peer_uid)
        assert peer_uid(client) == os.geteuid()


def rights(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def long_folder(tmp_path: Path) -> Path:
    folder = tmp_path / ("d" * LONGEST)
    folder.mkdir()
    return folder


def test_only_the_user_may_use_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        bound = Place(tmp_path).bind()
    finally:
        os.umask(before)
    assert bound is not None
    with bound:
        assert rights(tmp_path / NAME) == 0o600
        assert stat.S_ISSOCK((tmp_path / NAME).lstat().st_mode)
        speak(Place(tmp_path), bound)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, f"{NAME}.lock"]


def test_the_first_keeps_it(tmp_path: Path) -> None:
    first = Place(tmp_path).bind()
    assert first is not None
    with first:
        assert Place(tmp_path).bind() is None
        first.accept()[0].close()  # the probe
        speak(Place(tmp_path), first)


def test_one_that_is_overrun_keeps_it(tmp_path: Path) -> None:
    first = Place(tmp_path).bind()
    assert first is not None
    waiting: list[socket.socket] = []
    with first:
        with pytest.raises(OSError, match=r"unavailable|timed out"):
            for _ in range(100):
                waiting.append(Place(tmp_path).connect(0.05))
        assert Place(tmp_path).bind() is None
        assert (tmp_path / NAME).exists()
        for connection in waiting:
            connection.close()


@pytest.mark.parametrize("leftover", ["socket", "file", "nonsense"])
def test_what_a_dead_process_left_is_replaced(tmp_path: Path, leftover: str) -> None:
    place = Place(tmp_path)
    if leftover == "socket":
        dead = place.bind()
        assert dead is not None
        dead.close()
    else:
        text = str(OTHER / "s") if leftover == "file" else "\0"
        (tmp_path / NAME).write_text(text)
    with pytest.raises((OSError, NotOursError)):
        place.connect(1)
    bound = place.bind()
    assert bound is not None
    with bound:
        speak(place, bound)


def test_a_long_path_is_gone_through_by_its_descriptor(tmp_path: Path) -> None:
    place = Place(long_folder(tmp_path))
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc")
    bound = place.bind()
    assert bound is not None
    with bound:
        assert stat.S_ISSOCK(place.path.lstat().st_mode)
        assert rights(place.path) == 0o600
        speak(place, bound)
    place.remove()
    assert not place.exists()


def test_elsewhere_a_long_path_names_a_private_socket(tmp_path: Path) -> None:
    place = Place(long_folder(tmp_path), descriptors=OTHER)
    bound = place.bind()
    assert bound is not None
    with bound:
        assert rights(place.path) == 0o600
        target = Path(place.path.read_text())
        assert rights(target) == 0o600
        assert rights(target.parent) == 0o700
        assert len(os.fsencode(target)) <= LONGEST
        speak(place, bound)
    place.remove()
    assert not place.exists()
    assert not target.parent.exists()


def test_what_belongs_to_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = Place(tmp_path).bind()
    assert bound is not None
    with bound:
        mine = os.geteuid()
        with Place(tmp_path).connect(5) as client:
            with pytest.raises(NotOursError):
                require_same_user(client, lambda _: mine + 1)
            require_same_user(client, lambda _: None)  # the system cannot tell: the rights do
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
        with pytest.raises(NotOursError):
            Place(tmp_path).connect(5)
        with pytest.raises(NotOursError):
            Place(tmp_path).bind()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    bound = Place(tmp_path / "real").bind()
    assert bound is not None
    with bound:
        (tmp_path / NAME).symlink_to(tmp_path / "real" / NAME)
        with pytest.raises(NotOursError):
            Place(tmp_path).connect(1)


def test_no_socket_is_seen_at_a_glance(tmp_path: Path) -> None:
    assert not Place(tmp_path).exists()
    assert not Place(tmp_path / "none").exists()
