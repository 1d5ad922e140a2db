"""What an empty conversation shows: where one is, what to ask, and one proposal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from app.format import bar, human_bytes, time_left
from app.safe_text import one_line
from app.tools import Proposal
from models.types import Progress

SAMPLE_QUESTIONS = (
    "How large is the KV cache of an 8B model at 8,192 tokens?",
    "What is the difference between Q4_K_M and Q8_0?",
    "Why does reciprocal rank fusion use ranks instead of scores?",
)
"""Questions that the sample notes answer well."""


class ProposalCard(Static, can_focus=True):
    """The one proposal: a model that fits. Enter downloads it, ``s`` declines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "download", id="proposal.accept"),
        Binding("s", "skip", "skip", id="proposal.skip"),
    ]

    @dataclass
    class Accepted(Message):
        """The person wants the model."""

        proposal: Proposal

    @dataclass
    class Skipped(Message):
        """The person does not want a model."""

    def __init__(self) -> None:
        super().__init__(id="proposal", markup=False)
        self._proposal: Proposal | None = None
        self._first: tuple[float, int] | None = None
        self.display = False

    def propose(self, proposal: Proposal) -> None:
        """Show the proposal."""
        self._first = None
        self._proposal = proposal
        self.display = True
        facts = f"{human_bytes(proposal.bytes)}, {proposal.licence}. {proposal.note}"
        self.update(
            Content("").join(
                [
                    Content.styled("A model that fits this machine\n", "$secondary"),
                    Content.styled(one_line(proposal.title), "bold"),
                    Content(f"  about {one_line(facts)}\n"),
                    Content.styled("tab", "$accent"),
                    Content(" here, then "),
                    Content.styled("enter", "$accent"),
                    Content(" downloads it, "),
                    Content.styled("s", "$accent"),
                    Content(" skips. Until then answers are made of quotes."),
                ]
            )
        )

    def restore(self) -> None:
        """Show the proposal again after a download that did not end well."""
        if self._proposal is not None and self.display:
            self.propose(self._proposal)

    def show_progress(self, name: str, progress: Progress) -> None:
        """Show a download."""
        now = time.monotonic()
        if self._first is None or progress.done < self._first[1]:
            self._first = (now, progress.done)
        elapsed, done_before = now - self._first[0], self._first[1]
        share = f"{100 * progress.done / progress.total:.0f} %" if progress.total else ""
        left = time_left(progress.done - done_before, progress.total - done_before, elapsed)
        self.update(
            f"{one_line(progress.label)} {one_line(name)}\n"
            f"{bar(progress.done, progress.total, 30)} {share}\n"
            f"{human_bytes(progress.done)} of {human_bytes(progress.total)}  {left}  esc stops"
        )

    def action_accept(self) -> None:
        """Download the model."""
        if self._proposal is not None:
            self.post_message(self.Accepted(self._proposal))

    def action_skip(self) -> None:
        """Decline."""
        self.display = False
        self.post_message(self.Skipped())


class Welcome(Vertical):
    """The first thing a person sees."""

    def __init__(self, folder: Path, sample: bool) -> None:
        super().__init__(id="welcome")
        self._folder = folder
        self._sample = sample

    def compose(self) -> ComposeResult:
        """Build the greeting."""
        yield Static("Ask your notes.", id="welcome-title", markup=False)
        if self._sample:
            text = (
                "These are Alcove's sample notes: they are its guide. "
                "Open your own with  alcove FOLDER."
            )
        else:
            text = f"{one_line(str(self._folder))} is only read, never written."
        yield Static(text, classes="quiet", markup=False)
        if self._sample:
            questions = "\n".join(f"  {question}" for question in SAMPLE_QUESTIONS)
            yield Static(f"Try:\n{questions}", classes="examples", markup=False)
        yield ProposalCard()
