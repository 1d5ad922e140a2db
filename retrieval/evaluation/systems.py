"""The ways of ranking that an evaluation measures, asked and compared alike.

A system is a leg, the legs fused, or the fused passages put in order by the reranker.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from retrieval.errors import EvaluationError
from retrieval.evaluation.measures import randomisation_test
from retrieval.types import (
    Leg,
    LegChoice,
    Progress,
    Query,
    Report,
    SearchResult,
    ignore_progress,
)

System = Literal["bm25", "vector", "hybrid", "reranked"]
"""What is measured."""

SYSTEMS: tuple[System, ...] = get_args(System)
"""Every system, in the order of reports."""

_LEGS: Mapping[System, LegChoice] = {
    "bm25": "bm25",
    "vector": "vector",
    "hybrid": "hybrid",
    "reranked": "hybrid",
}
_PAIRS: tuple[tuple[System, System], ...] = (
    ("hybrid", "bm25"),
    ("hybrid", "vector"),
    ("reranked", "hybrid"),
    ("reranked", "bm25"),
    ("reranked", "vector"),
)
_EXPECTED: Mapping[LegChoice, tuple[Leg, ...]] = {
    "bm25": ("bm25",),
    "vector": ("vector",),
    "hybrid": ("bm25", "vector"),
}
_TRIES = 3  # The first questions may find a reranker that is still loading.
_NUMBER = re.compile(r"\d+([.,]\d+)*")

Search = Callable[[Query], SearchResult]
"""Finds passages, as ``Library.search`` does."""

Score = Callable[[Search, str], Mapping[str, float]]
"""Asks one query, given by its id, and scores what is found: the value of each measure."""

Ranking = Sequence[tuple[str, float]]
"""Document ids with the scores of their best chunks, best first."""


@dataclass(frozen=True, slots=True)
class SystemResult:
    """How one system did."""

    system: System
    """Which."""
    scores: Mapping[str, Sequence[float]]
    """For each measure the score of every query, in the order they were asked."""
    seconds: float
    """Wall time of all its searches."""
    notices: tuple[str, ...] = ()
    """What its searches said: once each, with how many said it when not all did."""
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    """The ranking of each query by its id, where documents were ranked."""

    @property
    def queries(self) -> int:
        """How many queries were asked."""
        return len(next(iter(self.scores.values())))

    def mean(self, measure: str) -> float:
        """Give the mean of a measure over the queries."""
        return sum(self.scores[measure]) / len(self.scores[measure])


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one system gains over another."""

    system: System
    """The one that is to be better."""
    against: System
    """The one it is compared with."""
    measure: str
    """Name of the measure."""
    difference: float
    """Mean of the system less mean of the other."""
    p: float
    """Two-sided p of a paired randomisation test."""


def measure(
    system: System,
    search: Search,
    queries: Sequence[str],
    score: Score,
    report: Report = ignore_progress,
) -> SystemResult:
    """Score one system on every query, given by id.

    Raises ``EvaluationError`` when the system cannot take part, and what searching raises.
    """
    started = time.monotonic()
    asker = _Asker(search, system)
    scores: dict[str, list[float]] = {}
    for done, query in enumerate(queries):
        report(Progress(f"searching: {system}", done, len(queries)))
        for name, value in score(asker.ask, query).items():
            scores.setdefault(name, []).append(value)
    asker.check(tries=1)
    report(Progress(f"searching: {system}", len(queries), len(queries)))
    values = {name: tuple(numbers) for name, numbers in scores.items()}
    return SystemResult(system, values, time.monotonic() - started, asker.notices)


class _Asker:
    """Asks one system, and counts what its searches say of themselves."""

    def __init__(self, search: Search, system: System) -> None:
        self._search = search
        self._system = system
        self._said: dict[str, tuple[str, int]] = {}
        self._asked = 0
        self._found = 0
        self._reranked = 0

    def ask(self, query: Query) -> SearchResult:
        """Search as the system does."""
        leg = _LEGS[self._system]
        result = self._search(replace(query, leg=leg, rerank=self._system == "reranked"))
        # No leg at all is asked when conditions in the query let no chunk through.
        if result.legs and set(result.legs) != {*_EXPECTED[leg]}:
            raise self._failure(result.notices)
        self._asked += 1
        self._found += len(result.passages) > 1  # One alone has no order.
        self._reranked += any(p.reranked is not None for p in result.passages)
        for notice in result.notices:
            first, count = self._said.get(_kind(notice), (notice, 0))
            self._said[_kind(notice)] = first, count + 1
        self.check(_TRIES)
        return result

    def check(self, tries: int) -> None:
        """Refuse a reranker that put none of so many results in order."""
        if self._system == "reranked" and self._found >= tries and not self._reranked:
            raise self._failure(self.notices)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the searches said: once each, with how many said it when not all did."""
        return tuple(
            notice
            if count == self._asked
            else f"{count} of {self._asked} searches by {self._system}: {notice}"
            for notice, count in self._said.values()
        )

    def _failure(self, notices: Sequence[str]) -> EvaluationError:
        title = f"The search by {self._system} could not be measured. {' '.join(notices)}"
        return EvaluationError(title.strip(), "Try again, or measure the others with --leg.")


def compare(results: Sequence[SystemResult]) -> tuple[Comparison, ...]:
    """Test the fusion against each leg, and the reranker against the fusion and each leg."""
    found = {result.system: result for result in results}
    return tuple(
        Comparison(
            system=system,
            against=against,
            measure=name,
            difference=found[system].mean(name) - found[against].mean(name),
            p=randomisation_test(found[system].scores[name], found[against].scores[name]),
        )
        for system, against in _PAIRS
        if system in found and against in found
        for name in found[system].scores
    )


def _kind(notice: str) -> str:
    """Give what notices have in common that differ in their numbers alone."""
    return _NUMBER.sub("#", notice)
