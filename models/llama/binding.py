"""Loads llama-cpp-python once, sends llama.cpp's log to ``logging``, and lists its devices."""

from __future__ import annotations

import ctypes
import functools
import logging
from collections import deque
from collections.abc import Collection
from typing import Any, TypeAlias

from models.errors import LoadError
from models.types import GpuDevice

Native: TypeAlias = Any
"""The module ``llama_cpp``: ctypes functions without annotations."""
Handle: TypeAlias = Any
"""A pointer or structure of llama.cpp."""

logger = logging.getLogger("alcove.llama")
"""llama.cpp's own log; silent unless the program attaches a handler."""
logger.addHandler(logging.NullHandler())

_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_CONTINUED = 5
CPU_KIND = 0
"""``GGML_BACKEND_DEVICE_TYPE_CPU`` of ggml-backend.h."""
GPU_KINDS = (1, 2)
"""``GGML_BACKEND_DEVICE_TYPE_GPU`` and ``_IGPU``."""

_recent_errors: deque[str] = deque(maxlen=8)
_keep: list[object] = []  # callbacks that C holds must not be collected


@functools.cache
def library() -> Native:
    """Import llama-cpp-python and start its backend. Raises ``LoadError``."""
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        raise LoadError(
            f"llama.cpp cannot be loaded: {error}.",
            "Run `make install`, which builds it for this machine.",
        ) from error
    _redirect_log(llama_cpp)
    llama_cpp.llama_backend_init()
    return llama_cpp


def _redirect_log(native: Native) -> None:
    pending: list[str] = []
    level = [logging.DEBUG]

    def write(kind: int, text: bytes, _: object) -> None:
        if kind != _CONTINUED:
            level[0] = _LEVELS.get(kind, logging.DEBUG)
        pending.append(text.decode("utf-8", errors="replace"))
        if not text.endswith(b"\n"):
            return
        line = "".join(pending).strip()
        pending.clear()
        if level[0] >= logging.ERROR:
            _recent_errors.append(line)
        if line:
            logger.log(level[0], "%s", line)

    callback = native.llama_log_callback(write)
    _keep.append(callback)
    native.llama_log_set(callback, ctypes.c_void_p(0))


def forget_errors() -> None:
    """Forget the errors logged so far, before a call whose errors matter."""
    _recent_errors.clear()


def last_error() -> str:
    """Return the first error that llama.cpp logged since they were forgotten; often the cause."""
    lines = [line.split(": ", 1)[-1] for line in _recent_errors]
    return lines[0].rstrip(".") if lines else "no reason was given"


def devices(kinds: Collection[int] = GPU_KINDS) -> tuple[GpuDevice, ...]:
    """List the devices that this build of llama.cpp can use, with their memory now.

    Asks ggml's device API, which starts the GPU's driver: call it in the engine's process only.
    Raises ``LoadError`` when llama.cpp is not installed.
    """
    library()
    from llama_cpp._ggml import libggml

    try:
        count, get = libggml.ggml_backend_dev_count, libggml.ggml_backend_dev_get
        name, description = libggml.ggml_backend_dev_name, libggml.ggml_backend_dev_description
        kind, memory = libggml.ggml_backend_dev_type, libggml.ggml_backend_dev_memory
    except AttributeError:
        return ()  # a build that keeps these functions to itself
    count.restype, get.restype = ctypes.c_size_t, ctypes.c_void_p
    get.argtypes = [ctypes.c_size_t]
    for function, result in ((name, ctypes.c_char_p), (description, ctypes.c_char_p)):
        function.argtypes, function.restype = [ctypes.c_void_p], result
    kind.argtypes, kind.restype = [ctypes.c_void_p], ctypes.c_int
    size_pointer = ctypes.POINTER(ctypes.c_size_t)
    memory.argtypes, memory.restype = [ctypes.c_void_p, size_pointer, size_pointer], None
    found = []
    for index in range(count()):
        device = get(index)
        if kind(device) not in kinds:
            continue
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory(device, ctypes.byref(free), ctypes.byref(total))
        label, words = name(device) or b"", description(device) or b""
        found.append(GpuDevice(label.decode(), words.decode(), free.value, total.value))
    return tuple(found)
