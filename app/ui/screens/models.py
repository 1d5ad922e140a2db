"""Choose a model: the ones that are here, then the ones that fit and can be downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from app.format import human_bytes
from app.safe_text import one_line
from app.tools import Proposal, Tools
from app.ui.background import run_in_background
from models.types import LocalModel


@dataclass(frozen=True, slots=True)
class Choice:
    """What the person chose: a model that is here, one to download, or no model."""

    local: LocalModel | None = None
    proposal: Proposal | None = None


class ModelsDialog(ModalScreen[Choice | None]):
    """A list; Enter loads what is here and downloads what is not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "cancel", "close", id="dialog.close")
    ]

    def __init__(self, tools: Tools, in_use: Path | None) -> None:
        super().__init__()
        self._tools = tools
        self._in_use = in_use
        self._choices: list[Choice] = []
        self._about: list[str] = []

    def compose(self) -> ComposeResult:
        """Build the box."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Models"
            box.border_subtitle = "enter choose · esc close"
            yield Static("looking at the models on this machine…", id="models-note", markup=False)
            yield OptionList(id="models-list", markup=False)
            yield Static("", id="models-about", markup=False)

    def on_mount(self) -> None:
        """List away from the UI loop: headers are read from disk."""
        run_in_background("list-models", self._list, lambda title, _: self._tell(title))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say what the model under the cursor is good at."""
        self.query_one("#models-about", Static).update(self._about[event.option_index])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer with the chosen model."""
        self.dismiss(self._choices[event.option_index])

    def action_cancel(self) -> None:
        """Choose nothing."""
        self.dismiss(None)

    def _tell(self, text: str) -> None:
        self.app.call_from_thread(self.query_one("#models-note", Static).update, text)

    def _list(self) -> None:
        local, problems = self._tools.local_models()
        catalog, best = self._tools.catalog(), self._tools.proposal()
        self.app.call_from_thread(self._fill, local, problems, catalog, best)

    def _fill(
        self,
        local: Sequence[LocalModel],
        problems: Sequence[str],
        catalog: Sequence[tuple[Proposal, bool]],
        best: Proposal | None,
    ) -> None:
        if not self.is_attached:
            return
        options: list[Option] = []
        for model in local:
            self._add(options, Choice(local=model), self._local_row(model), str(model.path))
        for entry, fits in catalog:
            about = f"{entry.note} Licence: {entry.licence}. Downloads {entry.name}."
            verdict = "fits" if fits else "heavy for this machine"
            if best is not None and best.name == entry.name:
                verdict = "fits, proposed"
            self._add(options, Choice(proposal=entry), _catalog_row(entry, fits, verdict), about)
        about = "The best sentences of the notes, each with its place; nothing is written anew."
        self._add(options, Choice(), Content("  No model: answers made of quotes"), about)
        self.query_one("#models-note", Static).update(
            "\n".join(map(one_line, problems)) or "● in use   ↓ downloads from the hub"
        )
        listing = self.query_one("#models-list", OptionList)
        listing.add_options(options)
        listing.highlighted = 0
        listing.focus()

    def _add(self, options: list[Option], choice: Choice, row: Content, about: str) -> None:
        self._choices.append(choice)
        self._about.append(one_line(about))
        options.append(Option(row))

    def _local_row(self, model: LocalModel) -> Content:
        sign = "●" if model.path == self._in_use else " "
        return _row(sign, model.name, model.quant, human_bytes(model.bytes), model.architecture)


def _catalog_row(entry: Proposal, fits: bool, verdict: str) -> Content:
    level = entry.name.partition(":")[2]
    row = _row("↓", entry.title, level, f"~{human_bytes(entry.bytes)}", verdict)
    return row if fits else row.stylize("$foreground 50%")


def _row(sign: str, name: str, level: str, size: str, remark: str) -> Content:
    return Content(f"{sign} {one_line(name):<34.34} {level:<8} {size:>8}  {one_line(remark)}")
