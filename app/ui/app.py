"""The Textual app: starts the work behind the screens and routes what it tells."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen

from app.safe_text import one_line
from app.types import Mode
from app.ui import messages
from app.ui.hangup import watch_terminal
from app.ui.jobs import Jobs
from app.ui.screens.chat import MODE_NAMES, ChatScreen
from app.ui.theme import THEMES
from app.ui.widgets.sources import SourceCard
from app.ui.widgets.status_bar import StatusBar
from app.ui.widgets.welcome import ProposalCard
from app.workspace import Workspace

if TYPE_CHECKING:
    from app.ui.screens.models import Choice


class AlcoveApp(App[int]):
    """Alcove in the terminal."""

    CSS_PATH = "alcove.tcss"
    TITLE = "Alcove"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 (typed so by Textual)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", id="quit", priority=True, show=False),
        Binding("ctrl+c", "help_quit", show=False, system=True),
    ]

    def __init__(self, workspace: Workspace, sample: bool = False) -> None:
        super().__init__()
        self._workspace = workspace
        self._sample = sample
        self._jobs = Jobs(workspace, self.post_message)
        for theme in THEMES:
            self.register_theme(theme)

    def on_mount(self) -> None:
        """Show the chat first; start everything else once it is painted."""
        self._use_theme()
        self._use_keymap()
        self.push_screen(ChatScreen(self._workspace, self._sample))
        self._watch_signals()
        self.call_after_refresh(self._jobs.begin)

    def _use_theme(self) -> None:
        wanted = self._workspace.settings.app.theme
        if wanted in self.available_themes:
            self.theme = wanted
        else:
            self.theme = "alcove"
            known = ", ".join(sorted(self.available_themes))
            self._notify(f"There is no theme {wanted!r}.", f"Known themes: {known}.", severe=True)

    def _use_keymap(self) -> None:
        """Take the person's keys, and say which of them cannot work."""
        keymap = self._workspace.settings.keys
        everywhere = {**_named_keys(type(self)), **_named_keys(ChatScreen)}
        known = sorted({*everywhere, *_named_keys(SourceCard), *_named_keys(ProposalCard)})
        for name in sorted(set(keymap) - set(known)):
            self._notify(f"No key is named {name}.", f"Known: {', '.join(known)}.", severe=True)
        taken: dict[str, str] = {}
        for name, default in everywhere.items():
            for key in keymap.get(name, default).split(","):
                other = taken.setdefault(key.strip(), name)
                if other != name:
                    self._notify(
                        f"{key} is the key of both {other} and {name}.",
                        "Give one of them another key in [keys] of the settings.",
                        severe=True,
                    )
        self.set_keymap(keymap)

    def _watch_signals(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and threading.current_thread() is threading.main_thread():
                loop.add_signal_handler(number, self.exit, 0)

    @property
    def at_rest(self) -> bool:
        """Whether nothing runs in the background and no answer is being written."""
        return self._jobs.idle and not self.chat.answering

    # What is told: handlers alone touch widgets.

    @property
    def chat(self) -> ChatScreen:
        """The chat screen."""
        screen = self.screen_stack[1]
        assert isinstance(screen, ChatScreen)
        return screen

    @property
    def _status(self) -> StatusBar:
        return self.chat.query_one(StatusBar)

    def on_index_advanced(self, message: messages.IndexAdvanced) -> None:
        """Show how far the index run is."""
        self._status.show_index_progress(message.progress)

    def on_index_status_read(self, message: messages.IndexStatusRead) -> None:
        """Show the index at rest."""
        self._status.show_index(message.status)

    def on_index_updated(self, message: messages.IndexUpdated) -> None:
        """Say what was skipped, once."""
        if message.report.skipped:
            first = message.report.skipped[0]
            more = len(message.report.skipped) - 1
            rest = f" and {more} more" if more else ""
            self.notify(
                f"{one_line(first.path)}: {one_line(first.reason)}{rest}",
                title="Not indexed",
                severity="warning",
                markup=False,
            )

    def on_no_model_found(self, message: messages.NoModelFound) -> None:
        """Propose one model that fits, unless that was declined before."""
        self.chat.show_titles()
        if message.proposal is not None:
            self.chat.query_one(ProposalCard).propose(message.proposal)
            self._status.show_offer(message.proposal.bytes)

    def on_model_advanced(self, message: messages.ModelAdvanced) -> None:
        """Show a load or a download under way."""
        self._status.show_model_progress(message.name, message.progress)
        if self._jobs.downloading:
            self.chat.query_one(ProposalCard).show_progress(message.name, message.progress)

    def on_model_downloaded(self, message: messages.ModelDownloaded) -> None:
        """The proposal has done its work."""
        self.chat.query_one(ProposalCard).display = False
        self.notify(f"{one_line(message.name)} is on this machine, verified.", markup=False)

    def on_model_loaded(self, message: messages.ModelLoaded) -> None:
        """Show the model; questions go to it from now on."""
        self._status.show_model(message.model)
        self.chat.show_titles()
        self.chat.query_one(ProposalCard).display = False
        for notice in message.model.notices:
            self.notify(one_line(notice), markup=False)

    def on_model_failed(self, message: messages.ModelFailed) -> None:
        """Say why there is no model; quotes go on."""
        self._status.show_model(self._workspace.model)
        self.chat.query_one(ProposalCard).restore()
        self.chat.show_titles()
        self._notify(message.title, message.remedy, severe=True)

    def on_engine_ended(self) -> None:
        """Show that the model is not in memory any more."""
        self._status.show_engine_gone()

    def on_noticed(self, message: messages.Noticed) -> None:
        """Show a notice."""
        self._notify(message.title, message.remedy, severe=message.severe)

    def on_index_run_ended(self) -> None:
        """Let the status bar forget the progress."""
        self._status.end_index_progress()

    def on_stop_wanted(self) -> None:
        """Stop what runs in the background."""
        self._jobs.stop()

    def on_proposal_card_accepted(self, message: ProposalCard.Accepted) -> None:
        """Download the proposed model, then load it."""
        self._jobs.download(message.proposal)

    def on_proposal_card_skipped(self) -> None:
        """Do not propose again."""
        self._jobs.skip_proposal()
        self.chat.focus_prompt()

    # What the person does.

    def action_models(self) -> None:
        """Choose a model."""
        from app.ui.screens.models import ModelsDialog

        model = self._workspace.model
        self.push_screen(
            ModelsDialog(self._workspace.tools, model.path if model else None), self._chosen
        )

    def _chosen(self, choice: Choice | None) -> None:
        if choice is None:
            return
        if self._jobs.occupied or self.chat.answering:
            self._notify("Something is still running.", "Escape stops it.", severe=False)
        elif choice.local is not None:
            self._jobs.load(choice.local)
        elif choice.proposal is not None:
            self._jobs.download(choice.proposal)
        else:
            self._jobs.unload()
            self._status.show_model(None)
            self.chat.show_titles()

    def action_mode(self, mode: Mode) -> None:
        """Choose where answers come from."""
        self._workspace.mode = mode
        self.chat.show_titles()

    def action_reindex(self) -> None:
        """Bring the index up to date now."""
        if self._jobs.indexing:
            self._notify("The notes are being indexed already.", "Escape stops it.", severe=False)
        else:
            self._jobs.update_index()

    async def action_quit(self) -> None:
        """Leave at once."""
        self._jobs.close()
        self.exit(0)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer everything Alcove does in the palette, by name."""
        chat = self.chat
        yield SystemCommand("Models", "Choose or download a model", self.action_models)
        yield SystemCommand("New conversation", "The old one is saved", chat.action_new)
        yield SystemCommand("Sources", "Show or hide the passages", chat.action_sources)
        yield SystemCommand("Context ledger", "What went into the prompt", chat.action_ledger)
        yield SystemCommand("Explain", "How the passages were found", chat.action_explain)
        yield SystemCommand("Stop", "Stop the answer, load or download", chat.action_stop)
        yield SystemCommand("Re-index", "Bring the index up to date", self.action_reindex)
        for mode, name in MODE_NAMES.items():
            yield SystemCommand(
                f"Answer from: {name}", "Where answers come from", partial(self.action_mode, mode)
            )
        yield SystemCommand("Help", "Keys, and what the signs mean", chat.action_help)
        for command in super().get_system_commands(screen):
            if command.title in {"Theme", "Quit"}:
                yield command

    def _notify(self, title: str, remedy: str, severe: bool) -> None:
        self.notify(
            one_line(remedy) or one_line(title),
            title=one_line(title) if remedy else "",
            severity="error" if severe else "information",
            timeout=12 if severe else 5,
            markup=False,
        )


def _named_keys(owner: type[DOMNode]) -> dict[str, str]:
    """List the bindings of a class that a keymap can name, with their keys."""
    return {
        binding.id: binding.key
        for binding in owner.BINDINGS
        if isinstance(binding, Binding) and binding.id
    }


def run(workspace: Workspace, sample_folder: Path) -> int:
    """Run the app until the person quits; the children end with it."""
    watch_terminal(workspace.close)
    try:
        return AlcoveApp(workspace, sample=workspace.folder == sample_folder).run() or 0
    finally:
        workspace.close()
