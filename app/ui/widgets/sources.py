"""The passages behind an answer: where, why this rank, and what checking them found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from app.format import bar
from app.judgments import Verdict
from app.safe_text import one_line, printable
from app.types import Citation
from retrieval.types import Passage, where

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
SNIPPET_LENGTH = 150
"""Characters of a passage that a card shows."""

VERDICTS = {
    "quote": ("✓", "$success", "quoted"),
    "supported": ("✓", "$success", "supported"),
    "unsupported": ("⚠", "$warning", "not borne out"),
    "missing": ("⚠", "$warning", "no such passage"),
}
"""Sign, colour and word of each result of a check."""


MARKS = {
    "good": ("+ you marked this good", "$success"),
    "bad": ("- you marked this bad", "$warning"),
}
"""How a person's own verdict is shown."""


class SourceCard(Horizontal, can_focus=True):
    """One passage. Enter, or a click, opens the note at its line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open note", id="source.open"),
        Binding("plus,equals_sign", "mark('good')", "good", key_display="+", id="source.good"),
        Binding("minus", "mark('bad')", "bad", key_display="-", id="source.bad"),
    ]

    @dataclass
    class Opened(Message):
        """The person wants to see the note."""

        passage: Passage
        line: int

    @dataclass
    class Marked(Message):
        """The person says whether the passage was any good for the question."""

        passage: Passage
        verdict: Verdict

    def __init__(
        self, n: int, passage: Passage, best: float, citations: Sequence[Citation] = ()
    ) -> None:
        self.n = n
        self.passage = passage
        self._best = best
        self._verdict: Verdict = "none"
        self._citations = [item for item in citations if item.n == n]
        super().__init__(classes="cited" if self._citations else "")

    def compose(self) -> ComposeResult:
        """Put the number beside the text, so that the text wraps beside it."""
        marker = "▸" if self._citations else " "
        yield Static(f"{self.n:>2} {marker}", classes="number", markup=False)
        yield Static(self._body(), classes="body", markup=False)

    def on_click(self, event: events.Click) -> None:
        """Open the note."""
        event.stop()
        self.action_open()

    def action_open(self) -> None:
        """Open the note at the cited line, or where the passage begins."""
        line = min(
            (item.first_line for item in self._citations), default=self.passage.chunk.first_line
        )
        self.post_message(self.Opened(self.passage, line))

    def action_mark(self, verdict: Verdict) -> None:
        """Mark the passage, or take the same mark back."""
        self._verdict = "none" if verdict == self._verdict else verdict
        self.query_one(".body", Static).update(self._body())
        self.post_message(self.Marked(self.passage, self._verdict))

    def _body(self) -> Content:
        chunk = self.passage.chunk
        place = one_line(where(chunk.note_path, chunk.first_line, chunk.last_line, chunk.place))
        legs = "  ".join(f"{item.leg} #{item.rank}" for item in self.passage.contributions)
        lines = [Content.styled(place, "bold" if self._citations else "")]
        if chunk.headings:
            lines.append(Content.styled(one_line(" › ".join(chunk.headings)), "$secondary"))
        scale = Content.styled(bar(self.passage.score, self._best), "$accent")
        lines.append(Content.styled(f"{legs}  ", "$secondary") + scale)
        lines.append(Content.styled(_snippet(chunk.text), "$foreground 75%"))
        for citation in self._citations:
            sign, colour, word = VERDICTS[citation.status]
            lines.append(Content.styled(f"{sign} {word}, {_lines(citation)}", colour))
        if self._verdict != "none":
            lines.append(Content.styled(*MARKS[self._verdict]))
        return Content("\n").join(lines)


class SourcesPanel(Vertical):
    """All passages of the newest answer, best first."""

    def compose(self) -> ComposeResult:
        """Build the heading and the list."""
        yield Static("Sources", id="sources-title", markup=False)
        yield VerticalScroll(id="sources-list")

    async def show(self, passages: Sequence[Passage], citations: Sequence[Citation] = ()) -> None:
        """Show passages, with the results of the check where there are any."""
        listing = self.query_one("#sources-list", VerticalScroll)
        await listing.remove_children()
        best = max((passage.score for passage in passages), default=0.0)
        await listing.mount_all(
            SourceCard(n, passage, best, citations) for n, passage in enumerate(passages, start=1)
        )
        listing.scroll_home(animate=False)
        self._title(passages, citations)

    def _title(self, passages: Sequence[Passage], citations: Sequence[Citation]) -> None:
        title = self.query_one("#sources-title", Static)
        if not passages:
            title.update("Sources")
            return
        cited = len({item.n for item in citations if item.status != "missing"})
        count = f"{cited} cited of {len(passages)}" if cited else f"{len(passages)}"
        title.update(
            Content("").join([Content("Sources  "), Content.styled(count, "$secondary not bold")])
        )


def _snippet(text: str) -> str:
    """Show how the passage begins, as running text; headings stand above already."""
    lines = [" ".join(line.split()) for line in printable(text).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("#", "```", "---"))]
    flow = _LINK.sub(r"\1", " ".join(telling))
    if len(flow) <= SNIPPET_LENGTH:
        return flow
    return flow[:SNIPPET_LENGTH].rpartition(" ")[0] + " …"


def _lines(citation: Citation) -> str:
    if citation.first_line == citation.last_line:
        return f"line {citation.first_line}"
    return f"lines {citation.first_line}–{citation.last_line}"
