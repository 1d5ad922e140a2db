"""Models in memory: what torch runs on here, and sentence-transformers' own modules, loaded lean.

Nothing is fetched and no code of a model is run: files in a folder, weights in safetensors.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from retrieval.sentence_models.lean_import import lean_imports, without_collecting

if TYPE_CHECKING:
    from pathlib import Path

    from retrieval.sentence_models.model_folder import Module

T = TypeVar("T")

_PACKAGE = "sentence_transformers"
_NOT_NEEDED = ("PIL", "accelerate", "datasets", "scipy", "sklearn")  # For training and pictures.
_IMPORTING = threading.RLock()
_LOG = logging.getLogger("alcove.torch")


@dataclass(frozen=True, slots=True)
class Accelerators:
    """What torch finds on this machine."""

    cuda: bool = False
    """Whether there is a GPU that torch reaches through CUDA or ROCm."""
    cuda_bfloat16: bool = False
    """Whether that GPU computes in bfloat16."""
    mps: bool = False
    """Whether there is a GPU that torch reaches through Metal."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model runs, and in which precision."""

    device: str
    """Device as torch names it: ``cuda``, ``mps``, ``cpu``."""
    precision: str
    """Data type as torch names it: ``float32``, ``bfloat16``, ``float16``."""


CPU = Placement("cpu", "float32")
"""Where every model runs."""


def choose_placement(found: Accelerators) -> Placement:
    """Choose the quickest device; half precision only on CUDA, where it costs no accuracy."""
    if found.cuda:
        return Placement("cuda", "bfloat16" if found.cuda_bfloat16 else "float16")
    return Placement("mps", "float32") if found.mps else CPU


def accelerators() -> Accelerators:
    """Ask torch what there is."""
    with without_collecting():
        import torch

    cuda = torch.cuda.is_available()
    return Accelerators(
        cuda=cuda,
        cuda_bfloat16=cuda and torch.cuda.is_bf16_supported(),
        mps=torch.backends.mps.is_available(),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether a GPU had no room."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    )


def load_on(place: Callable[[Placement], T], chosen: Placement) -> tuple[T, Placement]:
    """Load a model where it was to run, or on the CPU when a GPU has no room for it."""
    try:
        return place(chosen), chosen
    except Exception as error:
        if chosen.device == "cpu" or not is_out_of_memory(error):
            raise
    _LOG.warning("%s has no room for the model: it runs on the CPU.", chosen.device)
    return place(CPU), CPU


def load_embedding_modules(path: Path, modules: tuple[Module, ...], placement: Placement) -> Any:  # noqa: ANN401 - torch's types stay below
    """Load a model of sentence-transformers as a ``torch.nn.Sequential``: features in and out."""
    with without_collecting(), _IMPORTING:
        torch = importlib.import_module("torch")

        def load() -> Any:  # noqa: ANN401
            classes = importlib.import_module(f"{_PACKAGE}.sentence_transformer.modules")
            options = {
                "local_files_only": True,
                "trust_remote_code": False,
                "model_kwargs": _weights_as(torch, placement),
            }
            parts = [
                getattr(classes, module.kind).load(str(path), subfolder=module.path, **options)
                for module in modules
            ]
            return torch.nn.Sequential(*parts).eval().to(placement.device)

        return load_lean(load)


def load_cross_encoder(path: Path, placement: Placement) -> Any:  # noqa: ANN401
    """Load a ``CrossEncoder`` of sentence-transformers that gives scores from 0 to 1."""
    with without_collecting(), _IMPORTING:
        torch = importlib.import_module("torch")

        def load() -> Any:  # noqa: ANN401
            model = importlib.import_module(f"{_PACKAGE}.cross_encoder.model").CrossEncoder(
                str(path),
                device=placement.device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs=_weights_as(torch, placement),
                activation_fn=torch.nn.Sigmoid(),
            )
            return model.eval()

        return load_lean(load)


def _weights_as(torch: Any, placement: Placement) -> dict[str, object]:  # noqa: ANN401
    return {"use_safetensors": True, "dtype": getattr(torch, placement.precision)}


def load_lean(load: Callable[[], T]) -> T:
    """Load with the parts of the package that are needed, or with all of it where that fails.

    Another version of the package may be built otherwise; what is wrong with the model itself
    fails again.
    """
    # What transformers did not find when it was first imported it goes without for good.
    without = () if "transformers" in sys.modules else _NOT_NEEDED
    try:
        with lean_imports(_PACKAGE, without), quiet():
            return load()
    except Exception as error:
        if is_out_of_memory(error):
            raise
        _LOG.info("%s is imported whole: %r", _PACKAGE, error)
    with quiet():
        importlib.import_module(_PACKAGE)
        return load()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries from writing to the terminal: one stray line corrupts an app in it."""
    shown = importlib.import_module("transformers.utils.logging")
    bar, level = shown.is_progress_bar_enabled(), shown.get_verbosity()
    shown.disable_progress_bar()
    shown.set_verbosity_error()
    try:
        yield
    finally:
        shown.set_verbosity(level)
        if bar:
            shown.enable_progress_bar()
