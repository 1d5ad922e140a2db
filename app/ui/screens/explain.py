"""How the passages of an answer were found: ranks, scores, weights, and what was cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from app.format import bar, milliseconds
from app.safe_text import one_line
from app.ui.screens.dialogs import Dialog
from retrieval.types import Contribution, Explanation, Leg, SearchResult, where

_LEGS: tuple[Leg, ...] = ("bm25", "vector")
_LABEL_WIDTH = 10
_SCORE_WIDTH = 6
_BAR_CELLS = 6
_NARROW = 20  # Columns of the narrowest place; on a narrower screen lines wrap.
_WIDE = 80


class ExplainDialog(Dialog):
    """The ranking of one search, with the sum behind every score."""

    def __init__(self, question: str, result: SearchResult | None) -> None:
        super().__init__()
        self._question = question
        self._result = result

    def heading(self) -> str:
        """Name the dialog."""
        return "How these were found"

    def contents(self) -> ComposeResult:
        """Leave room for the table, which is drawn once its width is known."""
        yield VerticalScroll(Static("", id="explanation", markup=False))

    def on_resize(self, _: events.Resize) -> None:
        """Draw the table to the width there is."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if self.is_attached:
            view = self.query_one("#explanation", Static)
            view.update(explained(self._question, self._result, view.size.width))


def explained(question: str, result: SearchResult | None, width: int) -> Content:
    """Draw an explanation to a width; a narrow one does without the legs' own scores and bars."""
    if result is None or result.explanation is None:
        return Content("Nothing was searched for this answer.")
    explanation = result.explanation
    table = _Table(width)
    lines = [Content.styled(one_line(question), "bold"), *_searched(result, explanation, width)]
    lines += [Content(""), table.header()]
    best = max((passage.score for passage in result.passages), default=0.0)
    for number, passage in enumerate(result.passages, start=1):
        chunk = passage.chunk
        place = where(chunk.note_path, chunk.first_line, chunk.last_line, chunk.place)
        row = table.row(f"{number:>2}  ", place, passage.contributions, passage.score)
        lines.append(Content("").join([row, table.bar(passage.score, best)]))
        if passage.reranked is not None:
            moved = f"    reranker {passage.reranked.score:.2f}, was #{passage.reranked.fused_rank}"
            lines.append(Content.styled(moved, "$secondary"))
    if explanation.cuts:
        lines += [Content(""), Content.styled("cut", "$secondary")]
    for cut in explanation.cuts:
        lines.append(
            table.row("    ", cut.place or "no longer there", cut.contributions, cut.score)
        )
        lines.append(Content.styled(f"    {one_line(cut.reason)}", "$secondary"))
    return Content("\n").join(lines)


def _searched(result: SearchResult, explanation: Explanation, width: int) -> Iterable[Content]:
    """Say what was looked for, in how much, and how the legs were weighed."""
    facts = [("searched", explanation.text)] if explanation.text else []
    facts.append(("terms", " · ".join(explanation.terms) or "none that count"))
    facts += [("phrase", f"“{phrase}”") for phrase in explanation.phrases]
    facts += [("only", condition) for condition in explanation.filters]
    found = ", ".join(f"{leg} {count}" for leg, count in explanation.found)
    facts.append(("found", f"{found} chunks in {milliseconds(result.seconds)}"))
    weights = ", ".join(f"{leg} {weight:.3g}" for leg, weight in explanation.weights)
    facts.append(("weights", f"{weights}: {explanation.why_weights}"))
    facts.append(("score", f"the sum of weight / ({explanation.k:g} + rank) over the legs"))
    for name, text in facts:
        lines = wrap(one_line(text), max(_NARROW, width - _LABEL_WIDTH - 2)) or [""]
        for label, line in zip((name, *[""] * len(lines)), lines, strict=False):
            start = Content.styled(f"{label:<{_LABEL_WIDTH}}", "$secondary")
            yield Content("").join([start, Content(line)])


class _Table:
    """Columns that share a width: place, what each leg adds, score."""

    def __init__(self, width: int) -> None:
        self._wide = width >= _WIDE
        self._leg = 17 if self._wide else 11
        taken = 4 + 2 * (self._leg + 1) + _SCORE_WIDTH
        self._place = max(_NARROW, width - taken - (_BAR_CELLS + 5 if self._wide else 2))

    def header(self) -> Content:
        """Name the columns."""
        legs = "".join(f"{leg:<{self._leg}} " for leg in _LEGS)
        return Content.styled(f"    {'passage':<{self._place}} {legs}score", "$secondary")

    def row(
        self, number: str, place: str, contributions: Sequence[Contribution], score: float
    ) -> Content:
        """Draw a passage's line."""
        by_leg = {item.leg: item for item in contributions}
        cells = "".join(f"{self._added(by_leg.get(leg)):<{self._leg}} " for leg in _LEGS)
        shown = f"{_ending(one_line(place), self._place):<{self._place}} {cells}{_short(score)}"
        return Content("").join([Content.styled(number, "$accent"), Content(shown)])

    def bar(self, score: float, best: float) -> Content:
        """Draw a score against the best one, where there is room."""
        cells = f"  {bar(score, best, _BAR_CELLS)}" if self._wide else ""
        return Content.styled(cells, "$accent")

    def _added(self, contribution: Contribution | None) -> str:
        """Show a rank, the leg's own score, and what it adds: ``#1 9.41 → .0909``."""
        if contribution is None:
            return "–"
        own = f"{contribution.leg_score:.2f} " if self._wide else ""
        return f"#{contribution.rank} {own}→ {_short(contribution.score)}"


def _short(score: float) -> str:
    """Show a score to four places without the zero before the point."""
    return f"{score:.4f}".removeprefix("0")


def _ending(text: str, width: int) -> str:
    """Keep the end of a place, which tells more than its beginning."""
    return text if len(text) <= width else "…" + text[-(width - 1) :]
