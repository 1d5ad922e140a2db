"""The chat: transcript, prompt, sources, and one line of status."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, Static

from app.safe_text import one_line
from app.types import Answer, Finished, Mode, Retrieved, Searching
from app.ui import messages
from app.ui.background import TextBuffer, run_in_background
from app.ui.widgets.prompt import Prompt
from app.ui.widgets.sources import SourceCard, SourcesPanel
from app.ui.widgets.status_bar import StatusBar
from app.ui.widgets.transcript import Transcript
from app.ui.widgets.welcome import Welcome
from app.workspace import Workspace
from models.types import Delta, Prefilling
from retrieval.types import SearchResult

if TYPE_CHECKING:
    from app.ui.widgets.turn import TurnView

MODE_NAMES: dict[Mode, str] = {
    "quotes": "quotes only",
    "notes": "notes only",
    "notes+model": "notes and model",
    "model": "model only",
}
"""Names of the modes for people."""


class ChatScreen(Screen[None]):
    """Where questions are asked and answered."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+k", "app.models", "models", id="models", priority=True),
        Binding("ctrl+o", "sources", "sources", id="sources"),
        Binding("ctrl+l", "ledger", "ledger", id="ledger"),
        Binding("f2", "explain", "explain", id="explain"),
        Binding("ctrl+n", "new", "new", id="new"),
        Binding("escape", "stop", "stop", id="stop"),
        Binding("f1", "help", "help", id="help"),
    ]

    def __init__(self, workspace: Workspace, sample: bool) -> None:
        super().__init__()
        self._workspace = workspace
        self._sample = sample
        self._turn: TurnView | None = None
        self._answering = False
        self._last: Answer | None = None
        self._question = ""
        self._found: SearchResult | None = None
        self._text = TextBuffer()

    def compose(self) -> ComposeResult:
        """Build the screen."""
        with Horizontal(id="titlebar"):
            yield Static("Alcove", id="brand", markup=False)
            yield Static("", id="conversation-title", markup=False)
            yield Static("", id="mode", markup=False)
        with Horizontal(id="body"):
            with Vertical(id="main"):
                yield Transcript(Welcome(self._workspace.folder, self._sample), id="transcript")
                with Horizontal(id="prompt-row"):
                    yield Static("›", id="prompt-sign", markup=False)
                    yield Prompt(id="prompt")
            yield SourcesPanel(id="sources")
        yield StatusBar(id="status")
        yield Footer()

    def on_mount(self) -> None:
        """Put the cursor where it is needed."""
        self.set_class(True, "no-sources")
        self.show_titles()
        self.query_one(Prompt).focus()

    def show_titles(self) -> None:
        """Show the conversation's title and where answers come from."""
        conversation = self._workspace.conversation
        title = conversation.title if conversation.turns else self._workspace.folder.name
        self.query_one("#conversation-title", Static).update(one_line(title))
        self.query_one("#mode", Static).update(MODE_NAMES[self._workspace.effective_mode])

    async def on_prompt_submitted(self, event: Prompt.Submitted) -> None:
        """Ask; while an answer runs the draft stays where it is."""
        if self._answering:
            self.notify("An answer is running. Escape stops it.", timeout=3)
            return
        # Said before the first await: until the turn is there, other keys find nothing to act on.
        self._answering = True
        self.query_one(Prompt).accept()
        transcript = self.query_one(Transcript)
        self._turn = await transcript.begin(event.text, self._workspace.clock())
        self._turn.show_activity("searching notes…")
        question = event.text
        self._question, self._found = question, None

        def work() -> None:
            for answer_event in self._workspace.ask(question):
                if not isinstance(answer_event, Delta):
                    self.post_message(messages.AnswerAdvanced(answer_event))
                elif self._text.add(answer_event.text):
                    self.post_message(messages.AnswerGrew())

        def failed(title: str, remedy: str) -> None:
            self.post_message(messages.AnswerFailed(title, remedy))

        run_in_background("ask", work, failed)

    def _complain(self, title: str, remedy: str) -> None:
        self.post_message(messages.Noticed(title, remedy, severe=True))

    async def on_answer_advanced(self, message: messages.AnswerAdvanced) -> None:
        """Show a step of the running answer."""
        turn, event = self._turn, message.event
        if turn is None:
            return
        if isinstance(event, Searching):
            turn.show_activity("searching notes…")
        elif isinstance(event, Retrieved):
            self._found = event.result
            self.set_class(not event.result.passages, "no-sources")
            await self.query_one(SourcesPanel).show(event.result.passages)
            turn.show_activity("reading the question…")
        elif isinstance(event, Prefilling):
            # The model is there again if it had to be loaded anew.
            self.query_one(StatusBar).end_model_progress()
            turn.show_prefill(event)
        elif isinstance(event, Finished):
            self._turn, self._answering = None, False
            self._last = event.answer
            await turn.finish(event.answer)
            self.query_one(Transcript).follow()
            await self.query_one(SourcesPanel).show(event.answer.passages, event.answer.citations)
            self.query_one(StatusBar).show_answer(self._workspace.model, event.answer)
            self.show_titles()

    async def on_answer_grew(self) -> None:
        """Show the text that has come since."""
        text = self._text.take()
        if self._turn is not None and text:
            await self._turn.write(text)
            self.query_one(Transcript).follow()

    async def on_answer_failed(self, message: messages.AnswerFailed) -> None:
        """Say what went wrong where the answer would be; the prompt stays usable."""
        turn, self._turn, self._answering = self._turn, None, False
        if turn is not None:
            await turn.fail(message.title, message.remedy)

    def on_source_card_opened(self, message: SourceCard.Opened) -> None:
        """Show the note with the passage marked."""
        from app.ui.screens.dialogs import NoteDialog

        read = partial(self._workspace.note, message.passage)
        self.app.push_screen(NoteDialog(message.passage.chunk, read, message.line))

    def on_source_card_marked(self, message: SourceCard.Marked) -> None:
        """Keep the mark."""

        def keep() -> None:
            self._workspace.mark(message.passage, message.verdict)

        run_in_background("mark", keep, self._complain)

    def action_sources(self) -> None:
        """Show or hide the sources: a panel when there is room, else an overlay."""
        flag = "sources-hidden" if self.has_class("-wide") else "sources-shown"
        self.toggle_class(flag)

    def action_ledger(self) -> None:
        """Show where the context went."""
        from app.ui.screens.dialogs import LedgerDialog

        self.app.push_screen(LedgerDialog(self._last))

    def action_explain(self) -> None:
        """Show how the passages of the newest answer were found."""
        from app.ui.screens.explain import ExplainDialog

        self.app.push_screen(ExplainDialog(self._question, self._found))

    def action_help(self) -> None:
        """Show the keys."""
        from app.ui.screens.dialogs import HelpDialog

        self.app.push_screen(HelpDialog())

    def action_stop(self) -> None:
        """Stop what runs; with nothing running, close the overlay or go to the prompt."""
        if self._turn is not None:
            self._turn.show_activity("stopping…")
            run_in_background("cancel", self._workspace.cancel, self._complain)
        elif self.has_class("sources-shown"):
            self.remove_class("sources-shown")
        else:
            self.post_message(messages.StopWanted())
            self.query_one(Prompt).focus()

    async def action_new(self) -> None:
        """Start a new conversation; the old one is saved."""
        if self._answering:
            self.notify("An answer is running. Escape stops it.", timeout=3)
            return
        self._workspace.new_conversation()
        self._last, self._found, self._question = None, None, ""
        await self.query_one(Transcript).clear()
        await self.query_one(SourcesPanel).show(())
        self.add_class("no-sources")
        self.show_titles()
        self.query_one(Prompt).focus()

    def focus_prompt(self) -> None:
        """Put the cursor into the prompt."""
        self.query_one(Prompt).focus()

    @property
    def answering(self) -> bool:
        """Whether an answer is running."""
        return self._answering
