"""The command line while the app is open: whole processes that talk over the local socket."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.services.host import child_command
from tests.e2e.conftest import Home, Ran
from tests.e2e.terminal import terminal

WAIT_SECONDS = 120.0
HEAVY = {"numpy", "chromadb", "torch", "tokenizers", "retrieval.library", "textual"}
SILLY = {
    *("torch", "chromadb", "transformers", "sentence_transformers", "textual", "httpx"),
    *("app.conversation", "huggingface_hub", "llama_cpp", "jinja2"),
}
QUESTION = "what is the code of the mill"


@contextmanager
def index_process(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """Run the index process as the app does, until its pipe closes."""
    command = [sys.executable, *child_command("index")[1:]]
    process = subprocess.Popen(
        command,
        env=home.environment,
        cwd=home.root,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: asks_another(home))
        yield process
    finally:
        process.communicate(timeout=60)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def socket_of(home: Home) -> Path:
    return home.alcove_home / "index" / "index.sock"


def imported(home: Home, *arguments: str) -> set[str]:
    """List the modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", "-m", "app", *arguments],
        env=home.environment,
        cwd=home.root,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert lines
    return {line.rpartition("|")[2].strip() for line in lines}


def asks_another(home: Home) -> bool:
    """Whether commands reach a process that has the index open."""
    return "retrieval.library" not in imported(home, "status")


def spares_itself(home: Home, *arguments: str) -> bool:
    """Whether a command does without what makes it slow."""
    return not imported(home, *arguments) & HEAVY


def plain(ran: Ran) -> Any:  # noqa: ANN401 (whatever the document holds)
    """What a command answered, without the times it took."""
    document = ran.json
    for key in ("seconds", "timings"):
        document.pop(key, None)
    return ran.code, ran.err, document


def test_commands_answer_the_same_with_and_without_the_app(home: Home) -> None:
    home.run("index", str(home.notes))
    commands = [
        ("search", QUESTION, "--in", str(home.notes), "--json"),
        ("search", QUESTION, "--leg", "bm25", "-k", "1", "--json"),
        ("search", "zzzz", "--leg", "bm25", "--json"),
        ("ask", QUESTION, "--json"),
        ("status", "--json"),
    ]
    with ThreadPoolExecutor(2) as pool:  # Readers beside each other, as people's are.
        alone = list(pool.map(lambda command: plain(home.run(*command)), commands))
    assert not imported(home, *commands[1]) & SILLY
    with index_process(home) as process:
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(lambda command: plain(home.run(*command)), commands))
        for command in (commands[0], commands[3]):
            wait_for(partial(spares_itself, home, *command))
        home.write("new.md", "# new\n\nThe code of the bridge is amber.\n")
        added = home.run("index", str(home.notes), "--json").json
        assert (added["added"], added["unchanged"]) == (1, 4)
        assert home.run("search", "bridge", "-k", "1", "--json").json["hits"][0]["path"] == "new.md"
        process.kill()
        process.wait()
        found = home.run("search", "bridge", "--leg", "bm25", "-k", "1", "--json")
        assert found.json["hits"][0]["path"] == "new.md"
    assert together == alone


def test_the_socket_is_the_users_alone_and_gone_at_the_end(home: Home) -> None:
    with index_process(home):
        assert stat.S_ISSOCK(socket_of(home).lstat().st_mode)
        assert stat.S_IMODE(socket_of(home).lstat().st_mode) == 0o600
    assert not socket_of(home).exists()
    assert not asks_another(home)


def test_a_hanging_or_killed_process_is_done_without_and_its_socket_replaced(home: Home) -> None:
    with index_process(home) as process:
        process.send_signal(signal.SIGSTOP)
        assert not asks_another(home)
        assert home.run("search", QUESTION).code == 4  # nothing is indexed, and it says so
        process.kill()
        process.wait()
        assert socket_of(home).exists()
        assert not asks_another(home)
        assert home.run("search", QUESTION).code == 4  # nothing is indexed, and it says so
    with index_process(home):
        assert socket_of(home).exists()
    assert not socket_of(home).exists()


def test_ctrl_c_stops_the_run_in_the_other_process_and_the_next_one_ends_it(home: Home) -> None:
    for number in range(3000):  # More than can be embedded before it is stopped.
        home.write(f"many/{number}.md", f"# Note {number}\n\n" + f"It tells of {number}. " * 40)
    with index_process(home):
        running = subprocess.Popen(
            home.command("index", str(home.notes)),
            env=home.environment,
            cwd=home.root,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: home.run("status", "--json").json["notes"] > 0)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 130, said
        assert "Stopped." in said
        small = home.root / "small"
        small.mkdir()
        (small / "one.md").write_text("# one\n")
        ends: list[Ran] = []
        both = [
            threading.Thread(target=lambda f=folder: ends.append(home.run("index", f, "--json")))
            for folder in (str(small), str(small))
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert sorted(ran.json["added"] for ran in ends) == [0, 1]
        assert home.run("status", "--json").json["embedded"] < 3000


@pytest.mark.parametrize("deep", [0, 120])
def test_commands_reach_the_app_in_its_terminal(home: Home, deep: int) -> None:
    if deep:
        home.environment["ALCOVE_HOME"] = str(home.root / "h" / ("d" * deep))
    with terminal(home.command(str(home.notes)), home.environment, home.root, (160, 45)) as screen:
        screen.wait("4 notes ✓")
        wait_for(lambda: asks_another(home))
        found = home.run("search", QUESTION, "-k", "1", "--json")
        assert found.json["hits"][0]["path"] == "mill.md"
        assert found.json["legs"] == ["bm25", "vector"]
        assert home.run("index", str(home.notes), "--json").json["unchanged"] == 4
        screen.keys("\x11")
        assert screen.ended() == 0
    assert not asks_another(home)
