"""Small dialogs over the chat: help, the context ledger, a note at its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Static, TextArea
from textual.widgets.text_area import Selection

from app.format import bar
from app.safe_text import one_line, printable
from app.types import Answer, LedgerNote
from app.ui.background import run_in_background
from retrieval.types import Chunk, Note, where

HELP = (
    ("enter", "ask the question"),
    ("ctrl+j", "start a new line in the question"),
    ("up, down", "earlier questions"),
    ("escape", "stop the answer, the load or the download"),
    ("tab", "walk from the prompt to the sources; enter opens a note at its line"),
    ("+, -", "mark a source good or bad: alcove eval --mine measures the search by it"),
    ("ctrl+o", "show or hide the sources"),
    ("ctrl+l", "the context ledger: what went into the prompt"),
    ("f2", "explain: how the passages were found, and what was cut"),
    ("ctrl+k", "models: choose, download"),
    ("ctrl+n", "a new conversation"),
    ("ctrl+p", "the command palette: everything by name"),
    ("ctrl+q", "quit"),
)
"""Keys and what they do, as the help shows them."""


class Dialog(ModalScreen[None]):
    """A titled box that Escape closes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "close", id="dialog.close")
    ]

    def heading(self) -> str:
        """Name the dialog."""
        return ""

    def compose(self) -> ComposeResult:
        """Build the box around the contents."""
        with Vertical(classes="dialog") as box:
            box.border_title = one_line(self.heading())
            box.border_subtitle = "esc close"
            yield from self.contents()

    def contents(self) -> ComposeResult:
        """Build what is in the box."""
        yield from ()


class HelpDialog(Dialog):
    """The keys, and what the screen shows."""

    def heading(self) -> str:
        """Name the dialog."""
        return "Help"

    def contents(self) -> ComposeResult:
        """List the keys."""
        lines = [
            Content("").join([Content.styled(f"{keys:<11}", "$accent"), Content(f" {text}")])
            for keys, text in HELP
        ]
        notes = (
            "\n[1] in an answer is a passage on the right. ✓ quoted: its words stand in the note. "
            "✓ supported: most of them do. ⚠ not borne out: the passage does not say it. "
            "bm25 #1 and vector #3 are the passage's ranks by keywords and by meaning."
        )
        yield VerticalScroll(Static(Content("\n").join([*lines, Content(notes)])))


class LedgerDialog(Dialog):
    """Where the context of the newest answer went."""

    def heading(self) -> str:
        """Name the dialog."""
        return "Context ledger"

    def __init__(self, answer: Answer | None) -> None:
        super().__init__()
        self._answer = answer

    def contents(self) -> ComposeResult:
        """List the parts, then the passages in and out."""
        answer = self._answer
        if answer is None or not answer.ledger.context:
            text = "No model has been asked yet: quotes are taken from the notes as they are."
            yield Static(text, markup=False)
            return
        ledger = answer.ledger
        parts = ("system", "history", "notes", "question", "reserve", "free")
        rows = [
            Content("").join(
                [
                    Content(f"{name:<9} {getattr(ledger, name):>7,}  "),
                    Content.styled(bar(getattr(ledger, name), ledger.context, 30), "$accent"),
                ]
            )
            for name in parts
        ]
        rows.append(
            Content(f"{'context':<9} {ledger.context:>7,}  tokens of {one_line(answer.model)}")
        )
        rows += _entries("in the prompt", ledger.included)
        rows += _entries("left out", ledger.left_out)
        if ledger.dropped_turns:
            rows.append(Content(f"\n{ledger.dropped_turns} earlier turns no longer fit"))
        yield VerticalScroll(Static(Content("\n").join(rows)))


def _entries(title: str, notes: tuple[LedgerNote, ...]) -> list[Content]:
    if not notes:
        return []
    rows = [Content.styled(f"\n{title}", "$secondary")]
    for note in notes:
        number = f"[{note.n}]" if note.n else "   "
        place = one_line(where(note.path, note.first_line, note.last_line, note.place))
        rows.append(Content(f"{number:<4} {note.tokens:>6,}  {place}  {note.reason}".rstrip()))
    return rows


class NoteDialog(Dialog):
    """A note as the file reads now, with a passage marked."""

    def __init__(self, chunk: Chunk, read: Callable[[], Note], line: int) -> None:
        super().__init__()
        self._chunk = chunk
        self._read_note = read
        self._first = line

    def heading(self) -> str:
        """Name the note, and the part of it when it has no lines of its own."""
        path = str(Path(self._chunk.folder, self._chunk.note_path))
        return f"{path}, {self._chunk.place}" if self._chunk.place else path

    def contents(self) -> ComposeResult:
        """Show an empty text until the file is read."""
        yield TextArea("", read_only=True, show_line_numbers=True, id="note-text")
        yield Footer()

    def on_mount(self) -> None:
        """Read the file away from the UI loop."""
        run_in_background(
            "read-note",
            lambda: self._show(self._read_note().text),
            lambda title, remedy: self._show(f"{title}\n{remedy}"),
        )

    def _show(self, text: str) -> None:
        self.app.call_from_thread(self._fill, printable(text))

    def _fill(self, text: str) -> None:
        if not self.is_attached:
            return
        area = self.query_one("#note-text", TextArea)
        area.text = text
        lines = area.document.line_count
        first, last = min(self._first, lines) - 1, min(self._chunk.last_line, lines) - 1
        end = len(area.document.get_line(last))
        area.selection = Selection((last, end), (first, 0))
        area.scroll_to(y=max(first - 3, 0), animate=False)
        area.focus()
