"""``alcove search --explain``: every score as the sum that it is, and what was cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from app.cli.output import columns
from app.format import milliseconds, plural
from app.safe_text import one_line
from retrieval.types import Contribution, Explanation, Passage, SearchResult, where


def explanation_json(explanation: Explanation) -> dict[str, object]:
    """Build what ``search --explain --json`` says of the ranking."""
    return {
        **asdict(explanation),
        "weights": dict(explanation.weights),
        "found": dict(explanation.found),
    }


def explained(result: SearchResult) -> Iterator[str]:
    """Write what was searched for, each passage's score as a sum, and the cuts."""
    explanation = result.explanation
    if explanation is None:
        return
    yield from columns(list(_searched(result, explanation)))
    yield ""
    rows: list[tuple[str, ...]] = []
    for number, passage in enumerate(result.passages, start=1):
        rows += _passage_rows(number, passage, explanation.k)
    yield from columns(rows)
    if explanation.cuts:
        yield from ("", "cut")
    for cut in explanation.cuts:
        ranks = "  ".join(f"{item.leg} #{item.rank}" for item in cut.contributions)
        place = one_line(cut.place) or "no longer in the index"
        yield f"    {cut.score:.4f}  {place}  {ranks}".rstrip()
        yield f"            {one_line(cut.reason)}"


def _searched(result: SearchResult, explanation: Explanation) -> Iterator[tuple[str, str]]:
    yield "searched", one_line(explanation.text) or "nothing; the newest notes are listed"
    yield "terms", " · ".join(map(one_line, explanation.terms)) or "none that count"
    for phrase in explanation.phrases:
        yield "phrase", f"“{one_line(phrase)}”"
    for condition in explanation.filters:
        yield "only", one_line(condition)
    found = ", ".join(f"{leg} {count}" for leg, count in explanation.found) or "no leg"
    yield "found", f"{found}; {plural(result.found, 'chunk')} in {milliseconds(result.seconds)}"
    if explanation.weights:
        weights = ", ".join(f"{leg} {weight:.3g}" for leg, weight in explanation.weights)
        yield "weights", f"{weights} ({one_line(explanation.why_weights)})"
        yield "score", f"the sum of weight / ({explanation.k:g} + rank) over the legs"


def _passage_rows(number: int, passage: Passage, k: float) -> list[tuple[str, ...]]:
    """Write a passage's place and score, and under it what each leg adds."""
    chunk = passage.chunk
    place = one_line(where(chunk.note_path, chunk.first_line, chunk.last_line, chunk.place))
    rows: list[tuple[str, ...]] = [(f"{number:>2}", place, "", "", f"{passage.score:.4f}")]
    rows += _sum_rows(passage.contributions, k)
    if passage.reranked is not None:
        was = f"was #{passage.reranked.fused_rank}"
        rows.append(("", "  reranker", was, f"{passage.reranked.score:.3f}", ""))
    return rows


def _sum_rows(contributions: Sequence[Contribution], k: float) -> list[tuple[str, ...]]:
    return [
        (
            "",
            f"  {item.leg} #{item.rank}",
            f"{item.leg_score:.3f}",
            f"{item.weight:.3f} / ({k:g} + {item.rank})",
            f"{'=' if n == 0 else '+'} {item.score:.4f}",
        )
        for n, item in enumerate(contributions)
    ]
