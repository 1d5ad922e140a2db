"""A command and the process that has the index open: a real service, a real socket."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.errors import AppError, ServiceDied
from app.services import SOCKET_NAME, remote, wire
from app.services import listener as listening
from app.services.address import Place
from app.services.child import Job, Method
from app.services.index import IndexService
from app.services.listener import Listener
from app.services.remote import RemoteNotes, connect
from app.settings import IndexSettings, Settings
from retrieval.errors import FolderError, IndexCancelled, IndexMissingError
from retrieval.library import Library
from retrieval.types import IndexReport, IndexStatus, Progress, Query, SearchResult
from tests.fixtures.word_embedder import WordEmbedder

WAIT = 30.0


class App:
    """The process that has the index open: a service, its socket, and its notes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "index"
        self.index.mkdir(mode=0o700)
        self.notes = self.folder("notes")
        self.embedder = WordEmbedder()
        self.service = IndexService(self.open)
        self.listener = self.listen()
        self.opened: list[Library] = []

    def folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir()
        for word in ("harbour", "mill", "tunnel"):
            (folder / f"{word}.md").write_text(f"# {word}\n\nThe {word} of {name} is old.\n")
        return folder

    def offer(self, name: str, method: Method) -> None:
        """Serve a method in place of the service's own."""
        self.service.methods = {**self.service.methods, name: method}
        self.listener.close()
        self.listener = self.listen()

    def open(self) -> Library:
        return Library(self.index, self.embedder)

    def listen(self, identity: wire.Identity | None = None, uid: int | None = None) -> Listener:
        ours = identity or wire.identify(self.index, Settings())
        found = os.geteuid() if uid is None else uid
        return Listener(Place(self.index), ours, self.service.methods, lambda _: found)

    def connect(self, settings: Settings | None = None) -> RemoteNotes | None:
        return connect(self.index, settings or Settings(), self.open_here)

    def open_here(self) -> Library:
        self.opened.append(self.open())
        return self.opened[-1]

    def remote(self) -> RemoteNotes:
        notes = self.connect()
        assert notes is not None
        return notes

    def close(self) -> None:
        self.listener.close()
        self.service.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path)
    yield app
    app.close()


@pytest.fixture
def notes(app: App) -> Iterator[RemoteNotes]:
    notes = app.remote()
    yield notes
    notes.close()


def hold_embedding(app: App) -> tuple[threading.Event, threading.Event]:
    """Have the next batch wait: the events say that it does, and let it go on."""
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        assert go_on.wait(WAIT)

    app.embedder.before_batch = wait
    return reached, go_on


def in_thread(work: Callable[[], object]) -> Callable[[], object]:
    """Run work on a thread; the function returned waits for its result or error."""
    ends: list[object] = []

    def body() -> None:
        try:
            ends.append(work())
        except Exception as error:
            ends.append(error)

    thread = threading.Thread(target=body)
    thread.start()

    def result() -> object:
        thread.join(WAIT)
        assert not thread.is_alive()
        return ends[0]

    return result


def test_all_it_does_is_what_the_index_itself_does(app: App, notes: RemoteNotes) -> None:
    told: list[Progress] = []
    report = notes.index(app.notes, told.append, name="harbour")
    assert (report.added, report.chunks) == (3, 3)
    assert {"reading notes", "embedding"} <= {progress.label for progress in told}
    with app.open() as library:
        for query in (Query("old mill"), Query("mill", leg="bm25", k=1), Query("harbour", k=2)):
            ours = library.search(query)
            theirs = notes.search(query)
            assert replace(theirs, seconds=0.0) == replace(ours, seconds=0.0)
            assert theirs.passages
        assert notes.status() == library.status()
        assert [item.name for item in notes.status().collections] == ["harbour"]
        assert notes.status(app.notes) == library.status(app.notes)
    assert notes.forget(app.root) is None
    forgotten = notes.forget(app.notes)
    assert forgotten is not None
    assert forgotten.notes == 3
    assert app.opened == []


def test_errors_arrive_as_they_are(app: App, notes: RemoteNotes) -> None:
    with pytest.raises(IndexMissingError) as missing:
        notes.search(Query("mill"))
    assert missing.value.remedy
    with pytest.raises(FolderError, match="no folder"):
        notes.index(app.root / "none")
    assert isinstance(notes.status(), IndexStatus)


def test_a_relative_folder_is_the_callers(
    app: App, notes: RemoteNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(app.root)
    assert notes.index(Path("notes")).added == 3
    assert notes.status(Path("notes")).folders == (str(app.notes),)


def test_a_search_waits_for_neither_an_index_run_nor_another_search(app: App) -> None:
    reached, go_on = hold_embedding(app)
    writer, reader, third = app.remote(), app.remote(), app.remote()
    done = in_thread(lambda: writer.index(app.notes))
    assert reached.wait(WAIT)
    found = reader.search(Query("mill", leg="bm25"))
    assert found.passages[0].chunk.note_path == "mill.md"
    assert third.status().chunks == 3
    go_on.set()
    assert isinstance(done(), IndexReport)
    for notes in (writer, reader, third):
        notes.close()


def test_a_run_of_the_same_folder_is_joined_and_another_follows(app: App) -> None:
    reached, go_on = hold_embedding(app)
    first, second, third = app.remote(), app.remote(), app.remote()
    one = in_thread(lambda: first.index(app.notes))
    assert reached.wait(WAIT)
    seen = threading.Event()
    joined: list[Progress] = []

    def see(progress: Progress) -> None:
        joined.append(progress)
        seen.set()

    two = in_thread(lambda: second.index(app.notes, see))
    assert seen.wait(WAIT)
    waiting: list[Progress] = []
    queued = threading.Event()
    other = app.folder("other")

    def queue(progress: Progress) -> None:
        waiting.append(progress)
        queued.set()

    three = in_thread(lambda: third.index(other, queue))
    assert queued.wait(WAIT)
    go_on.set()
    reports = [one(), two(), three()]
    assert [report.added for report in reports if isinstance(report, IndexReport)] == [3, 0, 3]
    assert joined[0].label == "embedding"
    assert waiting[0].label.startswith("waiting for notes")
    for notes in (first, second, third):
        notes.close()


@pytest.mark.parametrize("how", ["cancel", "leave"])
def test_cancelling_and_leaving_stop_the_run(app: App, how: str) -> None:
    reached, go_on = hold_embedding(app)
    stop, stopping, stopped = threading.Event(), threading.Event(), threading.Event()
    run = app.service.methods["index"]

    def watched(job: Job, *arguments: object) -> object:
        job.on_cancel(stopping.set)
        try:
            return run(job, *arguments)
        except IndexCancelled:
            stopped.set()
            raise

    app.offer("index", watched)
    for number in range(200):
        (app.notes / f"{number}.md").write_text(f"# Note {number}\n\nIt is about {number}.\n")
    notes = app.remote()
    done = in_thread(lambda: notes.index(app.notes, cancelled=stop.is_set))
    assert reached.wait(WAIT)
    if how == "cancel":
        stop.set()
    else:
        notes._line.hang_up()
    assert stopping.wait(WAIT)
    go_on.set()
    assert isinstance(done(), IndexCancelled if how == "cancel" else ServiceDied)
    assert stopped.wait(WAIT)
    notes.close()


def test_when_the_process_ends_reading_goes_on_and_writing_says_so(app: App) -> None:
    notes = app.remote()
    notes.index(app.notes)
    app.listener.close()
    with pytest.raises(ServiceDied) as died:
        notes.index(app.notes)
    assert "again" in died.value.remedy
    assert notes.search(Query("mill", leg="bm25")).passages
    assert notes.status().notes == 3
    assert len(app.opened) == 1
    notes.close()


def test_a_question_that_cannot_travel_is_answered_here(app: App) -> None:
    notes = app.remote()
    notes.index(app.notes)
    assert notes.search(Query("mill \udc80", leg="bm25")).passages
    assert len(app.opened) == 1
    notes.close()


def test_an_answer_that_cannot_travel_is_found_here(
    app: App, notes: RemoteNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes.index(app.notes)
    monkeypatch.setattr(wire, "MAX_FRAME", 500)
    assert len(notes.search(Query("old", leg="bm25")).passages) == 3
    assert len(app.opened) == 1


def test_a_silent_process_is_given_up(
    app: App, notes: RemoteNotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes.index(app.notes)
    # A process that does not even say that it is alive.
    monkeypatch.setattr(listening, "ALIVE_SECONDS", None)
    monkeypatch.setattr(remote, "SILENCE_SECONDS", 0.3)
    hung = threading.Event()
    app.offer("search", lambda *_: hung.wait(WAIT))
    second = app.remote()
    assert second.search(Query("mill", leg="bm25")).passages
    assert len(app.opened) == 1
    hung.set()
    second.close()


def test_one_at_work_says_that_it_is_alive(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "ALIVE_SECONDS", 0.02)
    monkeypatch.setattr(remote, "SILENCE_SECONDS", 0.3)
    found = SearchResult((), (), 0, 0.0)
    long = threading.Event()

    def search(*_: object) -> SearchResult:
        long.wait(0.6)
        return found

    app.offer("search", search)
    notes = app.remote()
    assert notes.search(Query("mill")) == found
    assert app.opened == []
    notes.close()


def test_no_socket_another_version_other_settings_or_user_mean_doing_it_oneself(app: App) -> None:
    other = Settings(index=IndexSettings(vectors="http://host:8000"))
    assert app.connect(other) is None
    mine = wire.identify(app.index, Settings())
    for identity in (
        msgspec.structs.replace(mine, version="0.0.1"),
        msgspec.structs.replace(mine, types=mine.types + 1),
        msgspec.structs.replace(mine, index="/elsewhere"),
    ):
        app.listener.close()
        app.listener = app.listen(identity)
        assert app.listener.listening
        assert app.connect() is None
    stranger = os.geteuid() + 1
    app.listener.close()
    app.listener = app.listen(uid=stranger)
    assert app.connect() is None
    app.listener.close()
    app.listener = app.listen()
    assert connect(app.index, Settings(), app.open, lambda _: stranger) is None
    app.listener.close()
    assert not (app.index / SOCKET_NAME).exists()
    assert app.connect() is None


def test_a_wedged_process_is_not_waited_for(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 0.05)
    app.listener.close()
    bound = Place(app.index).bind()
    assert bound is not None
    with bound:
        notes = app.remote()  # nobody ever answers
        with pytest.raises(IndexMissingError):
            notes.search(Query("mill"))
        assert len(app.opened) == 1
        notes.close()


def test_writing_waits_for_a_slow_process_and_not_for_ever(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "CONNECT_SECONDS", 0.0)
    ready = threading.Event()
    app.listener.close()
    ours = wire.identify(app.index, Settings())

    def slow(_: socket.socket) -> int:
        assert ready.wait(WAIT)
        return os.geteuid()

    app.listener = Listener(Place(app.index), ours, app.service.methods, slow)
    notes = app.remote()
    done = in_thread(lambda: notes.index(app.notes))
    ready.set()
    assert isinstance(done(), IndexReport)
    assert app.opened == []
    notes.close()

    monkeypatch.setattr(remote, "SILENCE_SECONDS", 0.05)
    ready.clear()
    notes = app.remote()
    assert notes.index(app.notes).unchanged == 3
    assert notes.forget(app.notes) is not None
    assert len(app.opened) == 1
    ready.set()
    notes.close()


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"\xff\xff\xff\xff",
        struct.pack(">I", 2) + b"\xc1\xc1",
        wire.encode("hello"),
    ],
)
@pytest.mark.parametrize("introduced", [False, True])
def test_nonsense_ends_its_connection_alone(app: App, words: bytes, introduced: bool) -> None:
    with Place(app.index).connect(5) as connection:
        if introduced:
            ours = wire.encode(wire.identify(app.index, Settings()))
            connection.sendall(struct.pack(">I", len(ours)) + ours)
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass
    with_sense = app.remote()
    assert with_sense.index(app.notes).added == 3
    with_sense.close()


@pytest.mark.parametrize("method", ["warm", "close", "_search"])
def test_only_what_is_offered_can_be_asked(app: App, method: str) -> None:
    notes = app.remote()
    notes._line.send(wire.make_request(method, ()))
    with pytest.raises(wire.WireError):
        notes._line.receive(wire.Answering, WAIT)
    notes.close()


def test_too_many_are_sent_away(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 2)
    first, second = app.remote(), app.remote()
    assert app.connect() is None
    first.close()
    second.close()


def test_a_connection_that_cannot_be_taken_is_not_the_last(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "AGAIN_SECONDS", 0.01)
    errors = [OSError(errno.EMFILE, "Too many open files"), ConnectionAbortedError()]

    class Exhausted:
        """The socket, while the process has no descriptor to spare."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever a socket has)
            return getattr(self.real, name)

        def accept(self) -> tuple[socket.socket, Any]:
            if errors:
                raise errors.pop()
            return self.real.accept()

    assert app.listener._socket is not None
    app.listener._socket = Exhausted(app.listener._socket)  # type: ignore[assignment]
    app.remote().close()  # It was waited for before.
    notes = app.remote()
    assert notes.index(app.notes).added == 3
    assert errors == []
    notes.close()


def test_a_panic_ends_its_request_alone(app: App, notes: RemoteNotes) -> None:
    class Panic(BaseException):
        """As Rust libraries raise it."""

    def fail(*_: object) -> SearchResult:
        raise Panic("called unwrap on none")

    app.offer("search", fail)
    asking = app.remote()
    with pytest.raises(AppError, match="called unwrap on none"):
        asking.search(Query("harbour"))
    asking.close()


def test_the_second_process_has_none_and_takes_nothing_away(app: App) -> None:
    second = app.listen()
    assert not second.listening
    second.close()
    app.remote().close()


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    app = App(deep)
    notes = app.remote()
    assert notes.index(app.notes).added == 3
    notes.close()
    app.close()
    assert not (app.index / SOCKET_NAME).exists()
