from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from models.selftest import explain, run_selftest


def dying(name: str) -> tuple[str, ...]:
    """Return the command of a child that a signal kills, as a bad instruction would."""
    return sys.executable, "-c", f"import os, signal; os.kill(os.getpid(), signal.{name})"


def test_this_build_of_llama_cpp_works() -> None:
    result = run_selftest()
    assert result.ok, result.message
    assert result.remedy == ""
    assert result.seconds > 0


def test_an_illegal_instruction_is_explained_with_the_command_that_helps() -> None:
    result = run_selftest(dying("SIGILL"))
    assert not result.ok
    assert "AMX" in result.message
    assert "make install" in result.remedy
    assert "CMAKE_ARGS" in result.remedy


@pytest.mark.parametrize(
    ("name", "words"), [("SIGSEGV", "crashed (SIGSEGV)"), ("SIGKILL", "memory ran out")]
)
def test_other_deaths_are_told_apart(name: str, words: str) -> None:
    result = run_selftest(dying(name))
    assert not result.ok
    assert words in result.message
    assert result.remedy


def test_an_error_of_the_child_is_passed_on() -> None:
    code = "import sys; sys.exit('llama.cpp cannot be loaded: no library.')"
    result = run_selftest((sys.executable, "-c", code))
    assert "cannot be loaded: no library" in result.message


def test_an_unknown_signal_has_its_number() -> None:
    assert "signal 250" in explain(-250, "")[0]
    assert "no reason" in explain(1, "\n")[0]


def test_the_command_prints_lines_and_exits_with_0() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "models.selftest"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("llama.cpp works")


def test_the_signal_that_kills_is_the_one_that_is_explained() -> None:
    assert "instructions" in explain(-signal.SIGILL, "")[0]
