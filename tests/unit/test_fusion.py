"""Reciprocal rank fusion, and how the legs are weighed."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.evaluation.measures import ndcg
from retrieval.fusion import LEG_WEIGHTS, RRF_K, Weights, fuse, weigh
from retrieval.types import Hit, Leg

DEPTH = 100
CEILING = 40.0
COVERED: dict[Leg, float] = {"bm25": 1.0, "vector": 1.0}


def _hits(*ids: str) -> list[Hit]:
    return [Hit(chunk_id, rank, 1.0 / rank) for rank, chunk_id in enumerate(ids, start=1)]


def _scored(*scores: float, name: str = "c") -> list[Hit]:
    return [Hit(f"{name}{rank}", rank, score) for rank, score in enumerate(scores, start=1)]


def _weights(**legs: float) -> Weights:
    return Weights({"bm25": legs.get("bm25", 1.0), "vector": legs.get("vector", 1.0)}, "")


def test_scores_by_hand() -> None:
    fused = fuse({"bm25": _hits("a", "b"), "vector": _hits("b", "c")}, k=10)
    assert [(f.chunk_id, f.score) for f in fused] == [
        ("b", 1 / 12 + 1 / 11),
        ("a", 1 / 11),
        ("c", 1 / 12),
    ]
    best = fused[0].contributions
    assert [(c.leg, c.rank, c.weight, c.leg_score) for c in best] == [
        ("bm25", 2, 1.0, 0.5),
        ("vector", 1, 1.0, 1.0),
    ]


def test_weights_decide_between_equal_ranks() -> None:
    rankings: dict[Leg, list[Hit]] = {"bm25": _hits("a"), "vector": _hits("b")}
    assert [f.chunk_id for f in fuse(rankings, _weights(vector=1.5))] == ["b", "a"]
    assert [f.chunk_id for f in fuse(rankings, _weights(vector=0.5))] == ["a", "b"]


def test_ties_go_to_the_best_rank_then_the_id() -> None:
    rankings: dict[Leg, list[Hit]] = {"bm25": _hits("z", "y"), "vector": _hits("a", "b")}
    assert [f.chunk_id for f in fuse(rankings)] == ["a", "z", "b", "y"]


def test_one_leg_keeps_its_order() -> None:
    rankings: dict[Leg, list[Hit]] = {"bm25": _hits("c", "a", "b")}
    assert [f.chunk_id for f in fuse(rankings)] == ["c", "a", "b"]
    alone = weigh(rankings, COVERED, CEILING, DEPTH)
    assert [f.chunk_id for f in fuse(rankings, alone)] == ["c", "a", "b"]
    assert alone.why == "one leg alone"
    assert weigh({}, COVERED, CEILING, DEPTH).legs == {}


def test_strength_runs_from_chance_or_the_end_of_a_full_list_to_what_is_possible() -> None:
    rankings: dict[Leg, list[Hit]] = {
        "bm25": _scored(40.0, 20.0, 0.0),
        "vector": _scored(1.0, 0.6, 0.2),
    }
    weights = weigh(rankings, COVERED, CEILING, depth=3)
    assert weights.legs == LEG_WEIGHTS
    middle = 0.5**0.8
    at_end = 4.0  # A tenth of the ceiling is chance; it ends below, and chance is the floor.
    assert weights.strengths["bm25"] == pytest.approx(
        [1.0, ((20 - at_end) / (40 - at_end)) ** 0.8, 0.0]
    )
    assert weights.strengths["vector"] == pytest.approx([1.0, middle, 0.0])
    chance = weigh(rankings, COVERED, CEILING, depth=4)
    assert chance.strengths["bm25"] == pytest.approx([1.0, (16 / 36) ** 0.8, 0.0])


def test_a_hit_weighs_its_leg_times_its_strength() -> None:
    rankings: dict[Leg, list[Hit]] = {"bm25": _scored(20.0), "vector": _scored(0.5, name="v")}
    weights = weigh(rankings, {"bm25": 1.0, "vector": 0.25}, CEILING, DEPTH)
    first, second = fuse(rankings, weights)
    assert first.contributions[0].weight == pytest.approx(
        LEG_WEIGHTS["bm25"] * ((0.5 - 0.1) / 0.9) ** 0.8
    )
    assert second.contributions[0].weight == pytest.approx(
        LEG_WEIGHTS["vector"] * 0.25 * ((0.5 - 0.2) / 0.8) ** 0.8
    )
    assert first.score == first.contributions[0].weight / (RRF_K + 1)
    assert "meaning covers 25% of the chunks" in weights.why


def test_ranks_speak_where_keyword_scores_do_not() -> None:
    rankings: dict[Leg, list[Hit]] = {"bm25": _scored(-1.0, -2.0), "vector": _scored(0.9)}
    weights = weigh(rankings, COVERED, 0.0, DEPTH)
    assert weights.strengths["bm25"] == [1 / 2, 1 / 3]
    assert "too few chunks" in weights.why


@pytest.mark.parametrize(
    ("bm25", "cosine", "said"),
    [
        ([36.0], 0.2, ("keywords strong", "90%", "meaning weak", "20% alike")),
        ([4.0], 0.8, ("keywords weak", "10%", "meaning strong", "80% alike")),
        ([], 0.45, ("no chunk has a keyword", "meaning fair")),
    ],
)
def test_the_weights_are_explained_by_the_evidence(
    bm25: list[float], cosine: float, said: Sequence[str]
) -> None:
    rankings: dict[Leg, list[Hit]] = {"bm25": _scored(*bm25), "vector": _scored(cosine)}
    why = weigh(rankings, COVERED, CEILING, DEPTH).why
    assert all(words in why for words in said), why


FULL: dict[Leg, float] = {"bm25": CEILING, "vector": 1.0}
USELESS: dict[Leg, tuple[float, float]] = {"bm25": (0.04, 0.17), "vector": (0.10, 0.30)}
"""Share of the ceiling of four in five first hits, where the notes say nothing of the question."""
ANSWERS: dict[Leg, tuple[float, float]] = {"bm25": (0.24, 0.52), "vector": (0.57, 0.80)}
"""The same where they answer it. Measured: see docs/retrieval.md."""


def _unequal(good: Leg, bad: Leg) -> tuple[float, float, float]:
    """Measure 200 queries of a leg that finds the answer and one that finds nothing of use.

    The useless leg ranks at random, with the low scores that such a leg has. Gives nDCG@10 of the
    good leg, of plain reciprocal ranks, and of the weighed fusion.
    """
    generator = random.Random(7)
    names = [f"d{i}" for i in range(300)]
    sums = [0.0, 0.0, 0.0]
    for _ in range(200):
        top = generator.uniform(*USELESS[bad])
        noise = {name: top * generator.random() ** 4 for name in names}
        scores = {name: ANSWERS[good][0] * generator.random() ** 4 for name in names}
        grades = dict.fromkeys(generator.sample(names, 3), 1)
        scores.update((name, generator.uniform(*ANSWERS[good])) for name in grades)
        rankings = {good: _ranked(scores, FULL[good]), bad: _ranked(noise, FULL[bad])}
        plain = fuse(rankings, k=10)
        weighed = fuse(rankings, weigh(rankings, COVERED, CEILING, DEPTH))
        orders = [[hit.chunk_id for hit in rankings[good]]]
        orders += [[item.chunk_id for item in fused] for fused in (plain, weighed)]
        for number, order in enumerate(orders):
            sums[number] += ndcg(order, grades, 10) / 200
    return sums[0], sums[1], sums[2]


def _ranked(scores: dict[str, float], full: float) -> list[Hit]:
    best = sorted(scores, key=lambda name: (-scores[name], name))[:DEPTH]
    return [Hit(name, rank, scores[name] * full) for rank, name in enumerate(best, start=1)]


@pytest.mark.parametrize(("good", "bad"), [("bm25", "vector"), ("vector", "bm25")])
def test_a_leg_without_evidence_does_not_drag(good: Leg, bad: Leg) -> None:
    alone, plain, weighed = _unequal(good, bad)
    assert plain < alone - 0.1
    assert weighed >= alone - 0.02, (alone, plain, weighed)


scores_strategy = st.lists(st.floats(-5, 60), max_size=20).map(lambda s: sorted(s, reverse=True))


@given(scores_strategy, scores_strategy, st.floats(0, 1), st.floats(-1, 80), st.integers(1, 25))
def test_weights_are_bounded_and_sums_exact(
    bm25: list[float], vector: list[float], share: float, ceiling: float, depth: int
) -> None:
    rankings: dict[Leg, list[Hit]] = {
        "bm25": _scored(*bm25),
        "vector": _scored(*(s / 60 for s in vector), name="v"),
    }
    weights = weigh(rankings, {"bm25": 1.0, "vector": share}, ceiling, depth)
    for leg, strengths in weights.strengths.items():
        assert len(strengths) == len(rankings[leg])
        assert all(0.0 <= strength <= 1.0 for strength in strengths)
        assert list(strengths) == sorted(strengths, reverse=True)
    assert weights.legs["vector"] == LEG_WEIGHTS["vector"] * share
    fused = fuse(rankings, weights)
    assert all(f.score == sum(c.score for c in f.contributions) for f in fused)
    assert all(c.score == c.weight / (RRF_K + c.rank) for f in fused for c in f.contributions)
    assert all(c.weight <= LEG_WEIGHTS[c.leg] for f in fused for c in f.contributions)


@given(scores_strategy)
def test_both_legs_are_judged_alike(scores: list[float]) -> None:
    likenesses = _scored(*(0.2 + 0.8 * max(s, 0) / 60 for s in scores))
    keywords = [
        Hit(h.chunk_id, h.rank, CEILING * (0.1 + 0.9 * (h.score - 0.2) / 0.8)) for h in likenesses
    ]
    weights = weigh({"bm25": keywords, "vector": likenesses}, COVERED, CEILING, DEPTH)
    assert weights.strengths["bm25"] == pytest.approx(weights.strengths["vector"])


@given(
    st.permutations("abcdefgh"),
    st.permutations("efghijkl"),
    st.floats(0.1, 5),
    st.floats(0.1, 5),
)
def test_a_score_is_exactly_the_sum_of_its_contributions(
    first: list[str], second: list[str], w1: float, w2: float
) -> None:
    fused = fuse(
        {"bm25": _hits(*first), "vector": _hits(*second)}, _weights(bm25=w1, vector=w2), k=10
    )
    assert {f.chunk_id for f in fused} == set("abcdefghijkl")
    assert all(f.score == sum(c.score for c in f.contributions) for f in fused)
    assert all(c.score == c.weight / (10 + c.rank) for f in fused for c in f.contributions)
    assert [f.score for f in fused] == sorted((f.score for f in fused), reverse=True)
