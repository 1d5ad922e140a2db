"""The tokenizer of a model in a folder, without torch or transformers. Threads may share it."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from retrieval.errors import EmbedderError
from retrieval.sentence_models.model_folder import ModelFolder


class ModelTokenizer:
    """Counts tokens, and turns texts into a padded batch for the model."""

    def __init__(self, folder: ModelFolder, remedy: str = "Download the model again.") -> None:
        self._folder = folder
        self._remedy = remedy
        self._path = folder.path / folder.modules[0].path / "tokenizer.json"
        self._lock = threading.Lock()
        self._counter: Tokenizer | None = None
        self._encoder: Tokenizer | None = None

    def open(self) -> None:
        """Read the tokenizer; idempotent. Raises ``EmbedderError``."""
        with self._lock:
            if self._encoder is None:
                encoder = self._read()
                side, pad = _padding(self._path.with_name("tokenizer_config.json"))
                token_id = encoder.token_to_id(pad) if pad else None
                if token_id is None:
                    pad, token_id = _padding_of(encoder)
                encoder.enable_truncation(self._folder.window)
                encoder.enable_padding(direction=side, pad_id=token_id, pad_token=pad)
                self._encoder = encoder

    def count(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special tokens left out. Raises ``EmbedderError``."""
        if not texts:
            return []
        with self._lock:
            if self._counter is None:
                counter = self._read()
                counter.no_truncation()
                counter.no_padding()
                self._counter = counter
        encodings = self._counter.encode_batch_fast(self._cased(texts), add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Turn texts into token ids, cut at the window and padded to the longest."""
        self.open()
        assert self._encoder is not None
        return self._encoder.encode_batch(self._cased(texts))

    def overhead(self) -> int:
        """Count the tokens of the window that no text can have: special ones and a prompt's."""
        prompts = [self._folder.prompts.query, self._folder.prompts.passage]
        longest = max(self.count(prompts))
        assert self._counter is not None
        return int(self._counter.num_special_tokens_to_add(False)) + longest

    def prompt_length(self, prompt: str) -> int:
        """Count a prompt's tokens at the head of a text, special ones included."""
        self.open()
        assert self._encoder is not None
        encoding = self._encoder.encode(self._cased([prompt])[0])
        trailing = encoding.special_tokens_mask[-1] if encoding.special_tokens_mask else 0
        return len(encoding.ids) - int(trailing)

    def _cased(self, texts: Sequence[str]) -> list[str]:
        return [text.lower() for text in texts] if self._folder.lower_case else list(texts)

    def _read(self) -> Tokenizer:
        try:
            return Tokenizer.from_file(str(self._path))
        except Exception as error:  # The library raises bare Exception.
            raise EmbedderError(
                f"The embedder's tokenizer cannot be read ({self._path}).", self._remedy
            ) from error


def _padding(path: Path) -> tuple[str, str]:
    """Read on which side to pad, and with which token."""
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return "right", ""
    if not isinstance(config, dict):
        return "right", ""
    pad = config.get("pad_token")
    if isinstance(pad, dict):
        pad = pad.get("content")
    side = "left" if config.get("padding_side") == "left" else "right"
    return side, pad if isinstance(pad, str) else ""


def _padding_of(tokenizer: Tokenizer) -> tuple[str, int]:
    """Take the padding that the tokenizer was saved with, else a usual one."""
    saved = tokenizer.padding
    if saved:
        return str(saved["pad_token"]), int(saved["pad_id"])
    for token in ("[PAD]", "<pad>", "<|endoftext|>"):
        number = tokenizer.token_to_id(token)
        if number is not None:
            return token, number
    return "[PAD]", 0
