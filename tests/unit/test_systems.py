"""Systems asked alike: what each search is told, what is refused, what notices become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from app.cli.parser import build_command_parser
from retrieval.errors import EvaluationError
from retrieval.evaluation.systems import SYSTEMS, Search, System, SystemResult, compare, measure
from retrieval.types import Leg, Progress, Query, Reranked, SearchResult
from tests.unit.passages import passage


@dataclass
class Shelf:
    """A search over two passages; its reranker prefers the second."""

    reranks: Callable[[int], bool] = lambda _: True
    notices: Callable[[int], tuple[str, ...]] = lambda _: ()
    legs_missing: bool = False
    asked: list[Query] = field(default_factory=list)

    def search(self, query: Query) -> SearchResult:
        self.asked.append(query)
        number = len(self.asked)
        found = (passage("one", path="one.md"), passage("two", path="two.md", rank=2))
        if query.rerank and self.reranks(number):
            found = (
                replace(found[1], reranked=Reranked(2, 0.9)),
                replace(found[0], reranked=Reranked(1, 0.1)),
            )
        legs: tuple[Leg, ...] = ("bm25", "vector") if query.leg == "hybrid" else (query.leg,)
        if self.legs_missing:
            legs = ("bm25",)
        return SearchResult(found, legs, 2, 0.0, self.notices(number))


def first_is_two(search: Search, query: str) -> dict[str, float]:
    found = search(Query(query)).passages
    return {"two": float(found[0].chunk.note_path == "two.md")}


def ask(
    shelf: Shelf, system: System, queries: Sequence[str] = ("a", "b", "c", "d")
) -> SystemResult:
    return measure(system, shelf.search, queries, first_is_two)


def test_each_system_is_a_leg_and_maybe_the_reranker() -> None:
    shelf = Shelf()
    results = [ask(shelf, system, ("q",)) for system in SYSTEMS]
    assert [(q.leg, q.rerank) for q in shelf.asked] == [
        ("bm25", False),
        ("vector", False),
        ("hybrid", False),
        ("hybrid", True),
    ]
    assert [result.mean("two") for result in results] == [0, 0, 0, 1]


def test_the_command_line_offers_every_system() -> None:
    for system in SYSTEMS:
        parsed = build_command_parser().parse_args(["eval", "x", "--leg", system])
        assert parsed.legs == [system]


def test_fusion_is_compared_with_the_legs_and_the_reranker_with_all() -> None:
    results = [
        SystemResult(system, {"m": (value,) * 8}, 0.0)
        for system, value in zip(SYSTEMS, (0.1, 0.2, 0.5, 0.8), strict=True)
    ]
    found = {(c.system, c.against): round(c.difference, 6) for c in compare(results)}
    assert found == {
        ("hybrid", "bm25"): 0.4,
        ("hybrid", "vector"): 0.3,
        ("reranked", "hybrid"): 0.3,
        ("reranked", "bm25"): 0.7,
        ("reranked", "vector"): 0.6,
    }
    assert all(c.p < 0.02 for c in compare(results))  # 2 of the 256 signs are as large
    assert compare(results[:2]) == ()


def test_a_leg_that_takes_no_part_is_refused() -> None:
    for system in ("vector", "hybrid", "reranked"):
        with pytest.raises(EvaluationError, match=f"by {system} could not be measured") as error:
            ask(Shelf(legs_missing=True, notices=lambda _: ("It is broken.",)), system)
        assert "It is broken." in error.value.title
    assert ask(Shelf(legs_missing=True), "bm25").queries == 4


def test_a_reranker_that_never_reranks_is_not_measured_as_one() -> None:
    with pytest.raises(EvaluationError, match="by reranked could not be measured"):
        ask(Shelf(reranks=lambda _: False), "reranked", ("q",))
    shelf = Shelf(reranks=lambda _: False)
    with pytest.raises(EvaluationError):
        ask(shelf, "reranked", [str(n) for n in range(100)])
    assert len(shelf.asked) < 10


def test_a_reranker_that_ran_out_of_time_is_counted() -> None:
    shelf = Shelf(
        reranks=lambda number: number != 1,
        notices=lambda n: (f"The reranker stopped after {n} of 50 passages.",) if n < 3 else (),
    )
    result = ask(shelf, "reranked")
    assert result.scores == {"two": (0.0, 1.0, 1.0, 1.0)}
    assert result.notices == (
        "2 of 4 searches by reranked: The reranker stopped after 1 of 50 passages.",
    )


def test_what_every_search_says_is_said_once() -> None:
    result = ask(Shelf(notices=lambda _: ("The index is old.",)), "bm25")
    assert result.notices == ("The index is old.",)


def test_progress_is_reported() -> None:
    seen: list[Progress] = []
    measure("bm25", Shelf().search, ("a", "b"), first_is_two, seen.append)
    assert [(p.label, p.done, p.total) for p in seen] == [
        ("searching: bm25", n, 2) for n in range(3)
    ]
