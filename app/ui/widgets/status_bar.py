"""One line that always tells the truth: model, context, speed, index."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from app.format import bar, compact, human_bytes, plural, time_left
from app.safe_text import one_line
from app.types import Answer
from models.types import LoadedModel
from models.types import Progress as ModelProgress
from retrieval.types import IndexStatus, Progress

SEPARATOR = " · "


class StatusBar(Horizontal):
    """Model, quantization, layers on the GPU, context used, tokens/s and index state.

    The index keeps its room on the right; the model's side gives way on a narrow screen.
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._model: LoadedModel | None = None
        self._loading = ""
        self._gone = False
        self._offer = ""
        self._used = 0
        self._rate = 0.0
        self._index = "opening the index…"
        self._phase = ""
        self._phase_started = 0.0
        self._phase_first = 0

    def compose(self) -> ComposeResult:
        """Build the two sides."""
        yield Static("", id="status-model", markup=False)
        yield Static("", id="status-index", markup=False)

    def on_mount(self) -> None:
        """Draw the first state."""
        self._draw()

    def show_model(self, model: LoadedModel | None) -> None:
        """Show the loaded model, or that there is none."""
        self._model = model
        self._loading = ""
        self._gone = False
        self._used = 0
        self._rate = 0.0
        self._draw()

    def show_offer(self, size: int) -> None:
        """Say how large a model is that fits this machine, in bytes."""
        self._offer = f" ({human_bytes(size)} fits this machine)"
        self._draw()

    def show_model_progress(self, name: str, progress: ModelProgress) -> None:
        """Show a load or a download that is under way."""
        share = f"{100 * progress.done / progress.total:.0f} %" if progress.total else ""
        cells = bar(progress.done, progress.total)
        self._loading = f"{one_line(progress.label)} {one_line(name)} {cells} {share}".rstrip()
        self._draw()

    def end_model_progress(self) -> None:
        """Show the model again: the load is over."""
        if self._loading:
            self._loading = ""
            self._draw()

    def show_engine_gone(self) -> None:
        """Show that the model is out of memory until it is needed again."""
        self._gone = True
        self._draw()

    def show_answer(self, model: LoadedModel | None, answer: Answer) -> None:
        """Show the model, what the answer took of its context, and its speed."""
        self._model = model
        self._loading = ""
        self._gone = False
        ledger = answer.ledger
        if ledger.context:
            self._used = answer.timings.prompt_tokens + answer.timings.completion_tokens
            self._rate = answer.timings.tokens_per_second
        self._draw()

    def show_index_progress(self, progress: Progress) -> None:
        """Show how far the index run is, with the time left when it can be told."""
        now = time.monotonic()
        if progress.label != self._phase:
            self._phase = progress.label
            self._phase_started = now
            self._phase_first = progress.done
        label = one_line(progress.label)
        if progress.total:
            done = f"{progress.done:,}/{progress.total:,} {bar(progress.done, progress.total)}"
            left = time_left(
                progress.done - self._phase_first,
                progress.total - self._phase_first,
                now - self._phase_started,
            )
            self._index = f"{label} {done} {left}".rstrip()
        else:
            self._index = f"{label}…"
        self._draw()

    def show_index(self, status: IndexStatus) -> None:
        """Show the state of the index at rest."""
        self._phase = ""
        if status.embedded < status.chunks:
            self._index = f"{plural(status.notes, 'note')}, keywords only"
        else:
            self._index = f"{plural(status.notes, 'note')} ✓"
        if status.pending:
            self._index += f", {status.pending:,} waiting"
        if status.skipped:
            self._index += f", {len(status.skipped):,} skipped"
        self._draw()

    def end_index_progress(self) -> None:
        """Stop showing progress: the run ended, and its outcome is told elsewhere."""
        self._phase = ""
        self._index = "index at rest"
        self._draw()

    def _draw(self) -> None:
        parts = [self._loading] if self._loading else self._model_parts()
        model = SEPARATOR.join(part for part in parts if part)
        self.query_one("#status-model", Static).update(model)
        self.query_one("#status-index", Static).update(self._index)

    def _model_parts(self) -> list[str]:
        model = self._model
        if model is None:
            return [f"quotes only · ^k adds a model{self._offer}"]
        if self._gone:
            return [one_line(model.name), "stopped; the next question loads it again"]
        used = f"{compact(self._used)}/{compact(model.context)} {bar(self._used, model.context)}"
        rate = f"{self._rate:.0f} t/s" if self._rate else ""
        name = one_line(model.name)
        named = name if model.quant and model.quant in name else f"{name} {model.quant}"
        return [named, f"{model.gpu_layers}/{model.total_layers} on GPU", used, rate]
