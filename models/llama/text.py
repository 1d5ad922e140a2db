"""Tokens' bytes to text that can be shown: complete characters, nothing of a stop text. Pure."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextAssembler:
    """Turns the bytes of one token after another into text.

    A character split over tokens appears when it is complete. Text that may be the beginning of a
    stop text is held back until it is known not to be. Whitespace in front of the answer, which
    only separates it from the prompt, is left out.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.stopped = False
        """Whether a stop text has appeared; nothing after it is given out."""
        self._stops = tuple(stop for stop in stops if stop)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._begun = False

    def push(self, piece: bytes) -> str:
        """Add a token's bytes and return the text that is certain now; often empty."""
        if self.stopped:
            return ""
        return self._advance(self._decoder.decode(piece))

    def finish(self) -> str:
        """Return what was held back, at the end of the answer."""
        if self.stopped:
            return ""
        text = self._advance(self._decoder.decode(b"", final=True)) + self._held
        self._held = ""
        return text

    def _advance(self, text: str) -> str:
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        if not self._stops:
            return text
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            certain, self._held = self._held[: min(found)], ""
            return certain
        keep = max(_overlap(self._held, stop) for stop in self._stops)
        cut = len(self._held) - keep
        certain, self._held = self._held[:cut], self._held[cut:]
        return certain


def _overlap(text: str, stop: str) -> int:
    """Count the characters at the end of ``text`` that may begin ``stop``."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-size:]):
            return size
    return 0
