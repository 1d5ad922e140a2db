"""Runs a small quantized model once in a child process, and explains how it died if it did.

A llama.cpp built with instructions that the processor or the hypervisor lacks is killed by the
system at its first matrix product. Only a child process can be killed and explained.
``python -m models.selftest`` prints the result; exit code 0 when llama.cpp works, else 1.
"""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.build import cmake_args
from models.errors import ModelError
from models.tiny_model import write_tiny_model
from models.types import ChatMessage, Completed, GenerationOptions, LoadOptions

TIMEOUT = 120.0
"""Seconds after which the child counts as hanging."""
_TOKENS = 4
_REBUILD = (
    "Run `make install REBUILD=1`, which builds llama.cpp for this machine, or build it yourself: "
    f'CMAKE_ARGS="{cmake_args("cpu", platform.machine())}" '
    "pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
)


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """Whether llama.cpp works on this machine."""

    ok: bool
    """Whether it computed."""
    seconds: float
    """Wall time, the child's start included."""
    message: str
    """One line for the person."""
    remedy: str
    """What to do; empty when it works."""


def explain(returncode: int, output: str) -> tuple[str, str]:
    """Say what a child's end means and what to do: message and remedy.

    ``returncode`` is as ``subprocess`` gives it: the negated signal when one killed the child.
    """
    if returncode == 0:
        return "llama.cpp works: it ran a quantized model.", ""
    if returncode == -signal.SIGILL:
        return (
            "llama.cpp was built with instructions (AMX or AVX-512, for example) that this "
            "processor or its hypervisor lacks.",
            _REBUILD,
        )
    if returncode < 0:
        try:
            name = signal.Signals(-returncode).name
        except ValueError:
            name = f"signal {-returncode}"
        if name == "SIGKILL":
            return (
                "llama.cpp was killed, most likely because memory ran out.",
                "Close programs that hold memory and try again.",
            )
        return f"llama.cpp crashed ({name}).", _REBUILD
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"llama.cpp does not work: {lines[-1] if lines else 'no reason was given'}", _REBUILD


def run_selftest(command: Sequence[str] = ()) -> SelfTestResult:
    """Write a small quantized model and run it in a child process.

    ``command`` replaces the child's command line; the model's path is added to it.
    """
    started = time.perf_counter()
    command = command or (sys.executable, "-m", "models.selftest", "--child")
    with tempfile.TemporaryDirectory(prefix="alcove-selftest-") as folder:
        path = Path(folder) / "tiny.gguf"
        write_tiny_model(path)
        try:
            child = subprocess.run(
                [*command, str(path)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            message, remedy = f"llama.cpp did not answer within {TIMEOUT:.0f} seconds.", _REBUILD
            return SelfTestResult(False, time.perf_counter() - started, message, remedy)
    message, remedy = explain(child.returncode, child.stderr or child.stdout)
    return SelfTestResult(child.returncode == 0, time.perf_counter() - started, message, remedy)


def run_model(path: Path) -> int:
    """Generate a few tokens in this process and return their number. Raises ``ModelError``."""
    from models.llama import LlamaModel

    model = LlamaModel.load(LoadOptions(path))
    try:
        options = GenerationOptions(max_tokens=_TOKENS, temperature=0)
        events = list(model.stream([ChatMessage("user", "Does this machine work?")], options))
    finally:
        model.close()
    last = events[-1]
    return last.prompt_tokens if isinstance(last, Completed) else 0


def main(arguments: Sequence[str]) -> int:
    """Run the test, or be its child; return the exit code."""
    if arguments[:1] == ["--child"]:
        try:
            return 0 if run_model(Path(arguments[1])) else 1
        except ModelError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    result = run_selftest()
    sys.stdout.write(f"{result.message} ({result.seconds:.1f} s)\n")
    if result.remedy:
        sys.stdout.write(f"{result.remedy}\n")
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
