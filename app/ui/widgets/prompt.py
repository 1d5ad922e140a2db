"""Where questions are typed."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.message import Message
from textual.widgets import TextArea


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
        elif event.key == "up" and self._past and self.cursor_location[0] == 0:
            event.stop()
            event.prevent_default()
            self._recall(-1)
        elif event.key == "down" and self._place < len(self._past) and self._on_last_line():
            event.stop()
            event.prevent_default()
            self._recall(1)
        else:
            await super()._on_key(event)

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

    def _on_last_line(self) -> bool:
        return self.cursor_location[0] == self.document.line_count - 1

    def _recall(self, step: int) -> None:
        if self._place == len(self._past):
            self._draft = self.text
        self._place = min(max(self._place + step, 0), len(self._past))
        self.text = self._draft if self._place == len(self._past) else self._past[self._place]
        self.move_cursor(self.document.end)
