"""A team's shared vectors, on a real Chroma server on loopback."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.chroma.server import ServerVectors
from retrieval.errors import VectorIndexError
from retrieval.library import Library
from retrieval.types import IndexOptions, Query, SearchResult
from tests.e2e.conftest import Home
from tests.fixtures.word_embedder import WordEmbedder

NOTES = {
    "git.md": "# Undo a commit\n\nRun git reset --soft to keep the changes.\n",
    "bread.md": "# Bread\n\nMix flour, water and salt. Bake it hot.\n",
    "tea.txt": "Green tea wants water below boiling.\n",
}


class Server:
    """``chroma run`` with a folder of its own, that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(Path(sys.executable).with_name("chroma")), "run"]
        place = ["--path", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, *place],
            env={**os.environ, "ANONYMIZED_TELEMETRY": "False"},
            cwd=self.folder.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, "chroma run ended"
            time.sleep(0.05)
        raise AssertionError("chroma run did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server")
    server.start()
    yield server
    server.stop()


class Person:
    """Somebody with a home and a copy of the team's notes."""

    def __init__(self, root: Path, address: str) -> None:
        self.notes = root / "documents" / root.name
        self.notes.mkdir(parents=True)
        for path, text in NOTES.items():
            (self.notes / path).write_text(text)
        self.embedder = WordEmbedder()
        self.library = Library(root / "index", self.embedder, IndexOptions(vectors=address))

    def find(self, text: str) -> list[str]:
        result = self.ask(text)
        assert result.legs == ("vector",), result.notices
        return [passage.chunk.note_path for passage in result.passages]

    def ask(self, text: str) -> SearchResult:
        return self.library.search(Query(text, leg="vector"))


@pytest.fixture
def team(tmp_path: Path, server: Server) -> Iterator[tuple[Person, Person]]:
    people = Person(tmp_path / "ann", server.address), Person(tmp_path / "bob", server.address)
    yield people
    for person in people:
        person.library.close()


def test_a_team_embeds_each_text_once_and_deletes_nothing_of_others(
    team: tuple[Person, Person],
) -> None:
    ann, bob = team
    ann.library.index(ann.notes)
    assert sorted(ann.embedder.embedded) and ann.find("green tea")[0] == "tea.txt"
    bob.library.index(bob.notes)
    assert bob.embedder.embedded == [], "the vectors were there already"
    assert bob.find("green tea")[0] == "tea.txt"
    assert bob.library.status().complete
    (ann.notes / "tea.txt").unlink()
    ann.library.index(ann.notes)
    assert "tea.txt" not in ann.find("green tea")
    assert bob.find("green tea")[0] == "tea.txt"


def test_what_only_colleagues_have_takes_no_place(team: tuple[Person, Person]) -> None:
    ann, bob = team
    for number in range(300):
        (ann.notes / f"{number}.md").write_text(f"Green tea number {number} wants water.\n")
    ann.library.index(ann.notes)
    bob.library.index(bob.notes)
    result = bob.library.search(Query("green tea water", leg="vector", depth=3))
    assert len(result.passages) == 3
    assert result.passages[0].chunk.note_path == "tea.txt"


def test_the_server_sees_neither_texts_nor_paths(
    team: tuple[Person, Person], server: Server
) -> None:
    ann, _ = team
    ann.library.index(ann.notes)
    ann.find("green tea")
    server.stop()
    held = b"".join(p.read_bytes() for p in server.folder.rglob("*") if p.is_file())
    assert len(held) > 10_000
    for word in (b"flour", b"boiling", b"bread.md", b"git.md", str(ann.notes).encode()):
        assert word not in held


def test_without_the_server_keywords_answer_and_vectors_wait(
    team: tuple[Person, Person], server: Server
) -> None:
    ann, bob = team
    ann.library.index(ann.notes)
    server.stop()
    result = ann.library.search(Query("green tea"))
    assert result.legs == ("bm25",)
    assert any(server.address in notice and "chroma run" in notice for notice in result.notices)
    (ann.notes / "coffee.md").write_text("# Coffee\n\nGrind the beans fresh.\n")
    report = ann.library.index(ann.notes)
    assert report.added == 1
    assert server.address in report.notices[0]
    server.start()
    assert ann.find("grind coffee beans")[0] == "coffee.md"
    (bob.notes / "coffee.md").write_text("# Coffee\n\nGrind the beans fresh.\n")
    bob.library.index(bob.notes)
    assert bob.embedder.embedded == []
    assert ann.library.index(ann.notes).notices == ()


def test_a_server_that_lost_its_data_gets_it_again(
    team: tuple[Person, Person], server: Server, tmp_path: Path
) -> None:
    ann, bob = team
    ann.library.index(ann.notes)
    server.stop()
    server.folder = tmp_path / "another"
    server.start()
    assert ann.library.search(Query("green tea", leg="vector")).passages
    bob.library.index(bob.notes)
    assert bob.embedder.embedded == []


def test_a_server_that_never_answers_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        vectors = ServerVectors(address, "words@1", patience=0.2)
        with pytest.raises(VectorIndexError, match="did not answer within"):
            vectors.open()
        started = time.monotonic()
        with pytest.raises(VectorIndexError, match="a moment ago"):
            vectors.open()
        assert time.monotonic() - started < 0.1, "it is left alone for a while"


def test_a_server_that_talks_nonsense_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"

        def serve() -> None:
            connection, _ = odd.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        vectors = ServerVectors(f"http://127.0.0.1:{odd.getsockname()[1]}", "words@1")
        with pytest.raises(VectorIndexError, match="cannot be used now"):
            vectors.open()
        thread.join(5)


@pytest.mark.parametrize(
    "address", ["localhost:8000", "ftp://host", "http://", "http://host:x", "http://a:b@host"]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(address: str) -> None:
    with pytest.raises(VectorIndexError, match=re.escape("is not the address of a Chroma server")):
        ServerVectors(address, "words@1").open()


def test_vectors_of_another_length_are_not_taken_over(server: Server, tmp_path: Path) -> None:
    import numpy as np

    theirs = ServerVectors(server.address, "words@1")
    key = bytes(16)
    theirs.add([key], np.eye(1, 4, dtype=np.float32))
    assert set(theirs.fetch([key], 4)) == {key}
    assert theirs.fetch([key], 128) == {}
    person = Person(tmp_path / "ann", server.address)
    person.library.index(person.notes)
    result = person.library.search(Query("green tea"))
    assert result.legs == ("bm25",)
    assert any("dimension" in notice for notice in result.notices)
    person.library.close()
    theirs.close()


def test_the_setting_is_used_by_the_command_line(home: Home, server: Server) -> None:
    home.alcove_home.mkdir()
    (home.alcove_home / "settings.toml").write_text(f'[index]\nvectors = "{server.address}"\n')
    assert home.run("index", str(home.notes)).code == 0
    found = home.run("search", "the code word of the harbour", "--leg", "vector", "--json")
    assert found.json["hits"][0]["path"] == "harbour.md"
    assert not (home.alcove_home / "index" / "chroma").exists()
    vectors = ServerVectors(server.address, "any")
    assert vectors.missing([bytes(16)]) == [bytes(16)]
    vectors.close()
    server.stop()
    alone = home.run("search", "harbour code word", "--json")
    assert alone.json["legs"] == ["bm25"]
    assert any(server.address in notice for notice in alone.json["notices"])
