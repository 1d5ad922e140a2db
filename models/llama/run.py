"""The state of one answer while it is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from models.llama.text import TextAssembler
from models.types import Completed, Delta, FinishReason, GenerationOptions


@dataclass(slots=True)
class Run:
    """What is known of one answer so far."""

    prompt: list[int]
    """Token ids of the prompt."""
    options: GenerationOptions
    """How to write it."""
    text: TextAssembler
    """Turns its tokens into text."""
    cached: int = 0
    """Tokens of the prompt that were in the cache."""
    written: list[int] = field(default_factory=list)
    """Token ids of the answer."""
    shown: list[str] = field(default_factory=list)
    """Pieces of text given out."""
    reason: FinishReason = "stop"
    """Why it ended."""
    started: float = field(default_factory=time.perf_counter)
    """When it was asked for."""
    prefilled: float = 0.0
    """When the prompt was read; 0 until then."""

    def show(self, text: str) -> Iterator[Delta]:
        """Give text out, if there is any."""
        if text:
            self.shown.append(text)
            yield Delta(text)

    def completed(self) -> Completed:
        """Make the last event."""
        now = time.perf_counter()
        prefilled = self.prefilled or now
        return Completed(
            self.reason,
            prompt_tokens=len(self.prompt),
            cached_tokens=self.cached,
            completion_tokens=len(self.written),
            prefill_seconds=prefilled - self.started,
            decode_seconds=now - prefilled,
        )
