"""``alcove search`` as a whole process: keywords alone, both legs alone, both with the app open.

``python -m tests.benchmarks.bench_command_line [--rounds N]`` prints the seconds; the best round
of each kind counts, since whatever else the machine does only ever adds. The test compares the
kinds with each other and with the start of a bare interpreter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.__main__ import SAMPLE_NOTES
from app.services.host import child_command, child_environment

QUESTION = "how do I choose a model"


def alcove(home: Path, *arguments: str) -> float:
    """Run ``alcove`` and return the seconds that its process takes."""
    return seconds_of([sys.executable, "-P", "-m", "app", *arguments], home)


def seconds_of(command: list[str], home: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment(home), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def environment(home: Path) -> Mapping[str, str]:
    return {**child_environment(), "ALCOVE_HOME": str(home)}


@contextmanager
def index_process(home: Path) -> Iterator[None]:
    """Keep the index open as the app does, with everything loaded."""
    process = subprocess.Popen(
        child_command("index"),
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (home / "index" / "index.sock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        alcove(home, "search", QUESTION)
        yield
    finally:
        process.communicate()


def measure(rounds: int) -> dict[str, float]:
    """Return the best seconds of each kind of search, and of a bare interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        alcove(home, "index", str(SAMPLE_NOTES))
        keywords = ("search", QUESTION, "--leg", "bm25")
        best = {
            "bare interpreter": min(seconds_of([sys.executable, "-c", ""], home) for _ in range(5)),
            "keywords, alone": min(alcove(home, *keywords) for _ in range(rounds)),
            "hybrid, alone": min(alcove(home, "search", QUESTION) for _ in range(rounds)),
        }
        with index_process(home):
            best["hybrid, app open"] = min(alcove(home, "search", QUESTION) for _ in range(rounds))
            best["keywords, app open"] = min(alcove(home, *keywords) for _ in range(rounds))
    return best


@pytest.mark.benchmark
@pytest.mark.timeout(600)
def test_a_search_asks_the_open_app_in_a_fraction_of_the_time() -> None:
    best = measure(rounds=5)
    report(best)
    assert best["hybrid, app open"] < best["hybrid, alone"] / 3
    assert best["keywords, app open"] <= best["keywords, alone"]
    assert best["keywords, alone"] < best["hybrid, alone"] / 2


def report(best: Mapping[str, float]) -> None:
    print()
    for name, seconds in best.items():
        print(f"{name:<20} {seconds:6.2f} s")
    print(f"{'processors':<20} {os.cpu_count():6d}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    report(measure(parser.parse_args().rounds))
