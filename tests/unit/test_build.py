"""Building llama.cpp: the right switches, and never a wheel of another kind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from models.build import AMX_OFF, build, cmake_args, pinned_version, wheel_folder

ROOT = Path(__file__).resolve().parents[2]


def test_amx_is_left_out_on_x86_and_flags_of_another_machine_are_not_passed() -> None:
    assert AMX_OFF in cmake_args("cpu", "x86_64")
    assert cmake_args("cpu", "aarch64") == ""
    assert cmake_args("metal", "arm64") == "-DGGML_METAL=on"
    assert cmake_args("cuda", "x86_64").startswith("-DGGML_CUDA=on -DCMAKE_C_FLAGS=")
    assert cmake_args("cpu", "arm64", "-DGGML_NATIVE=off") == "-DGGML_NATIVE=off"


def test_a_kept_wheel_belongs_to_one_version_backend_and_set_of_flags(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    folders = {
        wheel_folder(environment, version, backend, args)
        for version in ("1", "2")
        for backend in ("cpu", "cuda")
        for args in ("", "-DX=1")
    }
    assert len(folders) == 8
    assert all(tmp_path in folder.parents for folder in folders)


def test_the_version_comes_from_the_constraints(tmp_path: Path) -> None:
    assert pinned_version(ROOT / "constraints.txt")[0].isdigit()
    path = tmp_path / "constraints.txt"
    path.write_text("torch==1\n")
    with pytest.raises(SystemExit, match="does not pin"):
        pinned_version(path)


def test_a_kept_wheel_is_not_built_again(tmp_path: Path) -> None:
    wheel = tmp_path / "llama_cpp_python-1.0-cp311-none-any.whl"
    wheel.touch()
    assert build("1.0", "cpu", tmp_path, "") == wheel


@pytest.mark.parametrize(("backend", "missing"), [("cuda", "nvcc"), ("vulkan", "glslc")])
def test_a_missing_tool_is_named_before_anything_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, missing: str
) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=missing):
        build("1.0", backend, tmp_path / "wheels", "")
    compiler.unlink()
    with pytest.raises(SystemExit, match=r"No C\+\+ compiler"):
        build("1.0", "cpu", tmp_path / "wheels", "")


def test_it_needs_nothing_but_the_standard_library() -> None:
    """It runs before anything is installed."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); import models.build",
        ],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
