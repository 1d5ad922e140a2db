"""Text to token ids, with control tokens only where the template wrote them.

Between two control tokens of the template, its text and the contents next to it are tokenised as
one string with control tokens off. So the ids of a harmless prompt equal those of tokenising the
rendered prompt as a whole, merges across the border and SentencePiece's space prefix included, and
a content that spells ``<|im_end|>`` yields ordinary tokens.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.chat_template import Piece
from models.llama.binding import Handle, Native

_UNKNOWN, _CONTROL, _USER_DEFINED = 1 << 0, 1 << 3, 1 << 4  # llama_token_attr of llama.h
_LSTRIP, _RSTRIP = 1 << 7, 1 << 8
_C_SPACES = " \t\n\v\f\r"
_NONE = -1
_LONGEST_PLAIN = 2  # a user-defined token this short is punctuation or a letter, not a mark


@dataclass(frozen=True, slots=True)
class Special:
    """A token that template text can name."""

    id: int
    """Token id."""
    text: str
    """How it is written."""
    control: bool
    """Whether contents must never produce it."""
    strip_before: bool
    """Whether whitespace in front of it is dropped."""
    strip_after: bool
    """Whether whitespace after it is dropped."""


def partition(text: str, specials: Sequence[Special]) -> list[str | Special]:
    """Cut text at special tokens, the longest first, as llama.cpp does."""
    parts: list[str | Special] = [text]
    for special in specials:
        if special.text not in text:
            continue
        cut: list[str | Special] = []
        for part in parts:
            if isinstance(part, Special):
                cut.append(part)
                continue
            rest, *others = part.split(special.text)
            cut.append(rest)
            for other in others:
                cut += [special, other]
        parts = [part for part in cut if part]
    return parts


class Vocabulary:
    """The tokenizer of a loaded model; thread-safe, valid while the model is."""

    def __init__(self, native: Native, model: Handle) -> None:
        self._native = native
        self._vocab = native.llama_model_get_vocab(model)
        self.size = int(native.llama_vocab_n_tokens(self._vocab))
        """Tokens in the vocabulary."""
        self._specials = self._find_specials()
        self._controls = {special.id: special for special in self._specials if special.control}
        self._buffer = ctypes.create_string_buffer(512)
        bos = int(native.llama_vocab_bos(self._vocab))
        self._bos = bos if native.llama_vocab_get_add_bos(self._vocab) and bos != _NONE else None
        self._line = self._tokenize("\n")

    def _find_specials(self) -> tuple[Special, ...]:
        attributes, texts = self._native.llama_vocab_get_attr, self._native.llama_vocab_get_text
        found = []
        for token in range(self.size):
            attr = attributes(self._vocab, token)
            if not attr & (_CONTROL | _USER_DEFINED | _UNKNOWN):
                continue
            text = texts(self._vocab, token).decode("utf-8", errors="replace")
            # Files mark control tokens as unknown ones too; the unknown token itself is harmless
            unknown = attr & _UNKNOWN and text.strip("<[]>").lower() != "unk"
            control = bool(attr & _CONTROL or unknown)
            # A vocabulary's runs of whitespace must merge over borders, so they stay text here
            if text and (control or not text.isspace()):
                strips = bool(attr & _LSTRIP), bool(attr & _RSTRIP)
                found.append(Special(token, text, control, *strips))
        return tuple(sorted(found, key=lambda item: -len(item.text.encode())))

    def token_text(self, token: int) -> str:
        """Return how a token is written in templates; empty for a token that is not set."""
        if token == _NONE:
            return ""
        text: bytes = self._native.llama_vocab_get_text(self._vocab, token)
        return text.decode("utf-8", errors="replace")

    @property
    def bos_text(self) -> str:
        """The token that begins a text, as templates write it."""
        return self.token_text(self._native.llama_vocab_bos(self._vocab))

    @property
    def eos_text(self) -> str:
        """The token that ends a text, as templates write it."""
        return self.token_text(self._native.llama_vocab_eos(self._vocab))

    def has_special(self, text: str) -> bool:
        """Tell whether a control token is written so."""
        return any(special.text == text for special in self._controls.values())

    def is_control(self, token: int) -> bool:
        """Tell whether a token is a control token."""
        return token in self._controls

    def is_end(self, token: int) -> bool:
        """Tell whether a token ends an answer."""
        return bool(self._native.llama_vocab_is_eog(self._vocab, token))

    def piece(self, token: int) -> bytes:
        """Return a token's bytes; none for a control token."""
        convert, buffer = self._native.llama_token_to_piece, self._buffer
        size = convert(self._vocab, token, buffer, len(buffer), 0, False)
        if size < 0:
            self._buffer = buffer = ctypes.create_string_buffer(-size)
            size = convert(self._vocab, token, buffer, len(buffer), 0, False)
        return buffer.raw[:size]

    def _tokenize(self, text: str, *, special: bool = False) -> list[int]:
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 8
        while True:
            ids = (ctypes.c_int32 * room)()
            count = self._native.llama_tokenize(
                self._vocab, data, len(data), ids, room, False, special
            )
            if count >= 0:
                return ids[:count]
            room = -count

    def encode_whole(self, text: str) -> list[int]:
        """Tokenise a rendered prompt as one string with control tokens on: the reference."""
        ids = self._tokenize(text, special=True)
        return self._with_bos(ids)

    def encode_data(self, text: str, *, continues: bool = False) -> list[int]:
        """Tokenise text in which control tokens are only text.

        ``continues`` says that text precedes it, so that SentencePiece adds no space in front.
        """
        if not text:
            return []
        ids = self._tokenize(text)
        if continues and self._line:
            joined = self._tokenize("\n" + text)
            if joined[: len(self._line)] == self._line:
                ids = joined[len(self._line) :]
        forged = {token for token in ids if token in self._controls}
        if not forged:
            return ids
        # Merges of ordinary pieces can spell a control token, as "</s>" does in some vocabularies
        texts = [self._controls[token].text for token in forged]
        parts = list(_broken(text, texts))
        if len(parts) < 2:
            return [token for token in ids if token not in forged]
        return [
            token
            for n, part in enumerate(parts)
            for token in self.encode_data(part, continues=continues or n > 0)
        ]

    def encode_prompt(
        self, pieces: Sequence[Piece], written: Mapping[str, Sequence[int]] | None = None
    ) -> list[int]:
        """Tokenise a prompt in pieces, the token that begins a text added once.

        ``written`` holds the ids of contents that the model wrote itself: they are used as they
        are, so that what the model has in its cache need not be read again.
        """
        return self._with_bos(_PromptEncoder(self, pieces, written or {}).ids)

    def _with_bos(self, ids: list[int]) -> list[int]:
        if self._bos is None or ids[:1] == [self._bos]:
            return ids
        return [self._bos, *ids]

    def partition(self, text: str) -> list[str | Special]:
        """Cut template text at special tokens."""
        return partition(text, self._specials)


class _PromptEncoder:
    """Builds the ids of one prompt; ``ids`` is the result."""

    def __init__(
        self, vocabulary: Vocabulary, pieces: Sequence[Piece], written: Mapping[str, Sequence[int]]
    ) -> None:
        self.ids: list[int] = []
        self._vocabulary = vocabulary
        self._run = ""
        self._continues = False
        self._strip = False
        parts = [None if piece.is_data else vocabulary.partition(piece.text) for piece in pieces]
        specials = {p for part in parts for p in part or () if isinstance(p, Special)}
        # Tokens that are not control tokens but that this template uses as if they were
        named = {s.text for s in specials if not s.control and len(s.text) > _LONGEST_PLAIN}
        for piece, part in zip(pieces, parts, strict=True):
            if part is not None:
                self._template(part)
            elif piece.text in written:
                self._flush()
                self.ids += written[piece.text]
                self._continues = True
            else:
                self._data(piece.text, named)
        self._flush()

    def _template(self, parts: Sequence[str | Special]) -> None:
        for part in parts:
            if isinstance(part, str):
                self._run += part
                continue
            if part.strip_before:
                self._run = self._run.rstrip(_C_SPACES)
            self._flush()
            self.ids.append(part.id)
            self._continues, self._strip = False, part.strip_after

    def _data(self, text: str, named: set[str]) -> None:
        """Add a content, broken where it spells a token that the template uses."""
        spelled = [name for name in named if name in text]
        first, *rest = _broken(text, spelled) if spelled else (text,)
        self._run += first
        for part in rest:
            self._flush()
            self._run = part

    def _flush(self) -> None:
        run = self._run.lstrip(_C_SPACES) if self._strip else self._run
        self._run = ""
        if run:
            self.ids += self._vocabulary.encode_data(run, continues=self._continues)
            self._continues, self._strip = True, False


def _broken(text: str, names: Sequence[str]) -> Iterator[str]:
    """Cut text in the middle of each name in it, so that no part spells one."""
    longest_first = sorted(names, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(name) for name in longest_first))
    start = 0
    for found in pattern.finditer(text):
        middle = found.start() + max(1, len(found[0]) // 2)
        yield text[start:middle]
        start = middle
    if start < len(text) or start == 0:
        yield text[start:]
