"""A GGUF file to llama.cpp's model and context, with progress and cancel."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from dataclasses import dataclass

from models.errors import LoadCancelled, LoadError
from models.hardware import detect, physical_cores
from models.llama.binding import Handle, Native, devices, forget_errors, last_error, library
from models.offload import UBATCH, plan
from models.types import Cancelled, LoadOptions, ModelFacts, OffloadPlan, Progress, Report

_THOUSAND = 1000


@dataclass(slots=True)
class Loaded:
    """What llama.cpp holds for one model, and the flag that aborts its work."""

    native: Native
    """The library."""
    model: Handle
    """``llama_model *``."""
    context: Handle
    """``llama_context *``."""
    abort: ctypes.Array[ctypes.c_char]
    """Two bytes; a first byte that is not zero aborts the running computation."""
    plan: OffloadPlan
    """How the model is placed."""

    def free(self) -> None:
        """Give the memory back; idempotent."""
        if self.context is not None:
            self.native.llama_free(self.context)
        if self.model is not None:
            self.native.llama_model_free(self.model)
        self.context = self.model = None


def load(options: LoadOptions, facts: ModelFacts, report: Report, cancelled: Cancelled) -> Loaded:
    """Load weights, then make a context. Raises ``LoadError``, ``LoadCancelled``."""
    native = library()
    placed = plan(facts, detect(devices()), options)
    model = _load_weights(native, options, placed, report, cancelled)
    abort = ctypes.create_string_buffer(2)
    params = _context_params(native, options, placed, abort)
    forget_errors()
    context = native.llama_init_from_model(model, params)
    if not context:
        native.llama_model_free(model)
        raise LoadError(
            f"llama.cpp could not make room for {placed.context:,} tokens: {last_error()}.",
            "Use a shorter context, or a smaller model.",
        )
    return Loaded(native, model, context, abort, placed)


def _load_weights(
    native: Native, options: LoadOptions, placed: OffloadPlan, report: Report, cancelled: Cancelled
) -> Handle:
    stopped = cancelled()
    last = -1

    def progress(share: float, _: object) -> bool:
        nonlocal stopped, last
        done = int(share * _THOUSAND)
        if done != last:
            last = done
            report(Progress("loading the model", done, _THOUSAND))
        stopped = stopped or cancelled()
        return not stopped

    params = native.llama_model_default_params()
    params.n_gpu_layers = placed.gpu_layers
    callback = native.llama_progress_callback(progress)
    params.progress_callback = callback
    forget_errors()
    path = str(options.path).encode(sys.getfilesystemencoding(), errors="surrogateescape")
    model = None if stopped else native.llama_model_load_from_file(path, params)
    if stopped:
        if model:
            native.llama_model_free(model)
        raise LoadCancelled("Loading was stopped.", "")
    if not model:
        raise LoadError(
            f"llama.cpp could not load {options.path.name}: {last_error()}.",
            "The file may be damaged or made for a newer llama.cpp; download it again or choose "
            "another model.",
        )
    return model


def _context_params(
    native: Native, options: LoadOptions, placed: OffloadPlan, abort: ctypes.Array[ctypes.c_char]
) -> Handle:
    params = native.llama_context_default_params()
    params.n_ctx = placed.context
    params.n_batch = params.n_ubatch = min(UBATCH, placed.context)
    # Logits of one token are enough, and a buffer for all of a batch would take hundreds of MiB
    params.n_outputs_max = 1
    params.n_threads = params.n_threads_batch = options.threads or physical_cores()
    callback, data = _abort_callback(native, abort)
    if callback is not None:
        params.abort_callback, params.abort_callback_data = callback, data
    return params


def _abort_callback(
    native: Native, abort: ctypes.Array[ctypes.c_char]
) -> tuple[Handle, ctypes.c_void_p] | tuple[None, None]:
    """Make llama.cpp ask a byte whether to stop, without running Python.

    ggml asks before every node of its graph, thousands of times a second; a Python function there
    would take a share of the decoding rate. C's ``strlen`` has the shape that is needed: a pointer
    in, zero (go on) for an empty text, not zero (stop) for the text of one byte that ``cancel``
    writes.
    """
    name = "msvcrt" if sys.platform == "win32" else None
    try:
        strlen = ctypes.CDLL(name).strlen
    except (OSError, AttributeError):
        return None, None
    callback = ctypes.cast(strlen, native.ggml_abort_callback)
    return callback, ctypes.cast(abort, ctypes.c_void_p)
