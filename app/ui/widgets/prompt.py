"""Where questions are typed."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from app.safe_text import printable


class Prompt(TextArea):
    """A multi-line prompt: Enter asks, Ctrl+J or Shift+Enter starts a new line.

    Pasted newlines stay newlines. Up and Down at the edges walk through earlier questions.
    """

    @dataclass
    class Submitted(Message):
        """The person asked."""

        text: str

    def __init__(self, *, id: str) -> None:
        super().__init__(
            id=id,
            soft_wrap=True,
            compact=True,
            highlight_cursor_line=False,
            placeholder="Ask your notes…",
            tab_behavior="focus",
        )
        self._past: list[str] = []
        self._place = 0
        self._draft = ""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self._submit()
        elif event.key in {"shift+enter", "ctrl+j", "alt+enter"}:
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key == "up" and self._past and self._on_first_row():
            event.stop()
            event.prevent_default()
            self._recall(-1)
        elif event.key == "down" and self._place < len(self._past) and self._on_last_row():
            event.stop()
            event.prevent_default()
            self._recall(1)
        else:
            await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        """Paste text only: escape sequences in it would reach the terminal."""
        event.stop()
        event.prevent_default()
        self.replace(printable(event.text), *self.selection)

    def accept(self) -> None:
        """Clear the prompt: the question was taken."""
        text = self.text.strip()
        if text and (not self._past or self._past[-1] != text):
            self._past.append(text)
        self._place = len(self._past)
        self._draft = ""
        self.clear()

    def _submit(self) -> None:
        text = self.text.strip()
        if text:
            self.post_message(self.Submitted(text))

    def _on_first_row(self) -> bool:
        """Tell whether Up cannot move the cursor; a long line takes several rows."""
        return self.navigator.is_first_wrapped_line(self.cursor_location)

    def _on_last_row(self) -> bool:
        return self.navigator.is_last_wrapped_line(self.cursor_location)

    def _recall(self, step: int) -> None:
        if self._place == len(self._past):
            self._draft = self.text
        self._place = min(max(self._place + step, 0), len(self._past))
        self.text = self._draft if self._place == len(self._past) else self._past[self._place]
        self.move_cursor(self.document.end)
