"""One question and its answer as they are read.

Apart from the transcript, because Textual's Markdown takes time to import and the first paint
does without it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Markdown, Static
from textual.widgets.markdown import MarkdownStream

from app.format import bar, duration, time_left
from app.safe_text import printable
from app.types import Answer, Citation
from models.types import Prefilling


class TurnView(Vertical):
    """One question and its answer, while it comes and after."""

    def __init__(self, question: str, asked_at: float) -> None:
        super().__init__()
        self._question = question
        self._asked_at = asked_at
        self._stream: MarkdownStream | None = None
        self._prefill_started = 0.0

    def compose(self) -> ComposeResult:
        """Build the two halves of the turn."""
        clock = datetime.fromtimestamp(self._asked_at).strftime("%H:%M")
        with Horizontal(classes="speaker"):
            yield Static("you", classes="name", markup=False)
            yield Static(clock, classes="meta", markup=False)
        yield Static(printable(self._question), classes="question", markup=False)
        with Horizontal(classes="speaker"):
            yield Static("alcove", classes="name alcove", markup=False)
            yield Static("", classes="meta verdict", markup=False)
        yield Static("", classes="activity", markup=False)
        yield Markdown("", classes="answer", open_links=False)
        yield Static("", classes="notices", markup=False)

    def show_activity(self, text: str) -> None:
        """Say in one line what is being waited for; empty for nothing."""
        activity = self.query_one(".activity", Static)
        activity.update(text)
        activity.display = bool(text)

    def show_prefill(self, event: Prefilling) -> None:
        """Say how much of the prompt has been read, and how long the rest takes."""
        now = time.monotonic()
        if not self._prefill_started:
            self._prefill_started = now
        new, read = event.total - event.cached, event.done - event.cached
        left = time_left(read, new, now - self._prefill_started)
        share = f"{100 * read / new:.0f} %" if new else ""
        pieces = [f"reading {new:,} tokens", bar(read, new), share, f"· {left}" if left else ""]
        self.show_activity(" ".join(piece for piece in pieces if piece))

    async def write(self, text: str) -> None:
        """Add a piece of the answer."""
        self.show_activity("")
        if self._stream is None:
            self._stream = Markdown.get_stream(self.query_one(Markdown))
        await self._stream.write(printable(text))

    async def finish(self, answer: Answer) -> None:
        """Show the answer as it was checked."""
        await self._end_stream()
        self.show_activity("")
        markdown = self.query_one(Markdown)
        if markdown.source != printable(answer.text):
            await markdown.update(printable(answer.text))
        self.query_one(".verdict", Static).update(_verdict(answer))
        notices = list(answer.notices)
        if answer.reason == "cancelled":
            notices.insert(0, "Stopped.")
        self._show_notices(notices)

    async def fail(self, title: str, remedy: str) -> None:
        """Show that the answer could not be given, and what to do."""
        await self._end_stream()
        self.show_activity("")
        self.add_class("failed")
        self._show_notices([title, remedy])

    def _show_notices(self, notices: Sequence[str]) -> None:
        view = self.query_one(".notices", Static)
        view.update("\n".join(printable(notice) for notice in notices if notice))
        view.display = bool(notices)

    async def _end_stream(self) -> None:
        if self._stream is not None:
            await self._stream.stop()
            self._stream = None


def _verdict(answer: Answer) -> Content:
    """Sum the check up: ``✓ 2 quoted · ⚠ 1 not borne out · 1.8 s``."""
    parts = [*_counts(answer.citations), Content(duration(answer.timings.total))]
    return Content(" · ").join(parts)


def _counts(citations: Sequence[Citation]) -> list[Content]:
    words = (
        ("quote", "✓ {} quoted", "$success"),
        ("supported", "✓ {} supported", "$success"),
        ("unsupported", "⚠ {} not borne out", "$warning"),
        ("missing", "⚠ {} without a passage", "$warning"),
    )
    found = []
    for status, text, colour in words:
        count = sum(item.status == status for item in citations)
        if count:
            found.append(Content.styled(text.format(count), colour))
    return found
