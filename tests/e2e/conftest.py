"""Whole processes in a home of their own, cut off from every network but loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.reader_data import fact_note

ROOT = Path(__file__).resolve().parents[2]
READER = ROOT / "tests" / "fixtures" / "reader.gguf"
FACTS = {"harbour": "cobalt", "mill": "falcon", "library": "walnut", "tunnel": "saffron"}

GUARD = """
import os, sys

def guard(event, args):
    if event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return
    target = args[1] if event != "socket.getaddrinfo" else args[0]
    host = target[0] if isinstance(target, tuple) else target
    if isinstance(host, bytes):
        host = host.decode()
    if event != "socket.getaddrinfo" and not isinstance(target, tuple):
        return  # a Unix socket
    if host in ("127.0.0.1", "::1", "localhost"):
        return
    with open(os.environ["NETWORK_LOG"], "a") as log:
        log.write(f"{event} {target} {sys.argv}\\n")
    raise OSError("the network is closed in tests")

sys.addaudithook(guard)
"""
"""Loaded by every Python process of a test, children included."""


@dataclass
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 (whatever the document holds)
        """The one document on standard output."""
        return json.loads(self.out)


@dataclass
class Home:
    """A person's machine: a home for Alcove and a folder of notes."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> Path:
        """The folder of notes."""
        return self.root / "notes"

    @property
    def alcove_home(self) -> Path:
        """All that Alcove writes."""
        return self.root / "home"

    @property
    def network_log(self) -> Path:
        """Attempts to reach beyond loopback."""
        return self.root / "network.log"

    def command(self, *arguments: str) -> list[str]:
        """Build the command line of ``alcove``."""
        return [sys.executable, "-P", "-W", "error", "-m", "app", *arguments]

    def run(self, *arguments: str, input: str | None = None, timeout: float = 180) -> Ran:
        """Run ``alcove`` to its end."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.root,
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def write(self, path: str, text: str) -> None:
        """Write a note."""
        file = self.notes / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    guard = tmp_path / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD)
    home = Home(tmp_path)
    home.environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "ALCOVE_"))},
        "ALCOVE_HOME": str(home.alcove_home),
        "NETWORK_LOG": str(home.network_log),
        "PYTHONPATH": os.pathsep.join([str(guard), str(ROOT)]),
        "HOME": str(tmp_path / "user"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }
    home.notes.mkdir()
    for key, value in FACTS.items():
        home.write(f"{key}.md", fact_note(key, value))
    yield home
    assert not home.network_log.exists(), home.network_log.read_text()
