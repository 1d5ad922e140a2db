"""Build llama.cpp for this machine: ``python -m models.build [--backend cuda]``.

llama-cpp-python is published as source and compiles on install. Its default build asks for every
instruction the processor reports; where a hypervisor reports AMX but does not save its state, the
first quantized matrix product ends in SIGILL. AMX is therefore left out, which costs client
processors nothing: none has it.

Finished wheels are kept per version, backend, processor and flags, so that a second environment
on the machine does not compile again, and one built for another backend is never taken for it.
Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

AMX_OFF = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
"""Compiler flags that keep AMX kernels out; known to gcc 11, clang 12 and later on x86-64."""

BACKENDS: dict[str, tuple[str, ...]] = {
    "cpu": (),
    "cuda": ("-DGGML_CUDA=on",),
    "metal": ("-DGGML_METAL=on",),
    "vulkan": ("-DGGML_VULKAN=on",),
}
"""CMake switches of each backend."""

NEEDS: dict[str, tuple[str, str]] = {
    "cuda": ("nvcc", "Install the CUDA toolkit, and see that nvcc is on the PATH."),
    "vulkan": ("glslc", "Install the Vulkan SDK (on Debian: libvulkan-dev and glslc)."),
}
"""Program a backend cannot be built without, and how to get it."""


def cmake_args(backend: str, machine: str, extra: str = "") -> str:
    """Build the value of ``CMAKE_ARGS`` for a backend and a machine name (``x86_64``)."""
    parts = list(BACKENDS[backend])
    if machine.lower() in {"x86_64", "amd64"} and platform.system() != "Windows":
        parts += [f"-DCMAKE_C_FLAGS='{AMX_OFF}'", f"-DCMAKE_CXX_FLAGS='{AMX_OFF}'"]
    if extra:
        parts.append(extra)
    return " ".join(parts)


def pinned_version(constraints: Path) -> str:
    """Read llama-cpp-python's version from the constraints file.

    Raises ``SystemExit`` with a remedy when it is not there.
    """
    text = constraints.read_text(encoding="utf-8")
    found = re.search(r"^llama[-_]cpp[-_]python==(\S+)$", text, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise SystemExit(f"{constraints} does not pin llama-cpp-python; add a line that does.")
    return found.group(1)


def processor() -> str:
    """Describe the processor so far as it decides what a native build contains."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        flags = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE)
        if flags is not None:
            return flags.group(1)
    return platform.processor() or platform.machine()


def wheel_folder(environment: Mapping[str, str], version: str, backend: str, args: str) -> Path:
    """Name the folder where the wheel of exactly this build is kept."""
    cache = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    key = hashlib.sha256(
        f"{args}|{processor()}|{platform.system()}-{platform.machine()}".encode()
    ).hexdigest()[:12]
    return Path(cache) / "alcove" / "wheels" / f"{version}-{python}-{backend}-{key}"


def check_tools(backend: str) -> None:
    """Refuse early, with a remedy, when a needed program is missing."""
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
        raise SystemExit(
            "No C++ compiler was found. Install one (Debian: apt install g++, macOS: "
            "xcode-select --install), or see README for the prebuilt wheels."
        )
    program, remedy = NEEDS.get(backend, ("", ""))
    if program and shutil.which(program) is None:
        raise SystemExit(f"{program} was not found, and BACKEND={backend} needs it. {remedy}")


def build(version: str, backend: str, folder: Path, args: str) -> Path:
    """Compile the wheel into ``folder`` unless it is there, and return it.

    Raises ``SystemExit`` when the build fails.
    """
    ready = sorted(folder.glob("llama_cpp_python-*.whl"))
    if ready:
        print(f"llama.cpp: using the build in {folder}")
        return ready[0]
    check_tools(backend)
    print(f"llama.cpp: building {version} for {backend}; this takes a few minutes", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir"]
    command += ["--no-binary", "llama-cpp-python", "-w", str(folder)]
    command.append(f"llama-cpp-python=={version}")
    if subprocess.run(command, env={**os.environ, "CMAKE_ARGS": args}, check=False).returncode:
        raise SystemExit("llama.cpp could not be built; the compiler's message is above.")
    return next(iter(sorted(folder.glob("llama_cpp_python-*.whl"))))


def main() -> None:
    """Build and install llama-cpp-python into the environment that runs this."""
    parser = argparse.ArgumentParser(description="Build llama.cpp for this machine.")
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="cpu")
    parser.add_argument("--constraints", type=Path, default=Path("constraints.txt"))
    parser.add_argument("--rebuild", action="store_true", help="compile even if a build is kept")
    options = parser.parse_args()
    version = pinned_version(options.constraints)
    args = cmake_args(options.backend, platform.machine(), os.environ.get("CMAKE_ARGS", ""))
    folder = wheel_folder(os.environ, version, options.backend, args)
    if options.rebuild:
        shutil.rmtree(folder, ignore_errors=True)
    wheel = build(version, options.backend, folder, args)
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    constrained = ["-c", str(options.constraints), str(wheel)]
    reinstall = ["--force-reinstall", "--no-deps", "--no-cache-dir"]
    for extra in ([], reinstall):
        if subprocess.run([*pip, *extra, *constrained], check=False).returncode:
            raise SystemExit("llama.cpp was built but could not be installed; see above.")


if __name__ == "__main__":
    main()
