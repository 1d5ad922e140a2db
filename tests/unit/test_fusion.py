"""Reciprocal rank fusion."""

from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import fuse
from retrieval.types import Hit, Leg


def _hits(*ids: str) -> list[Hit]:
    return [Hit(chunk_id, rank, 1.0 / rank) for rank, chunk_id in enumerate(ids, start=1)]


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
    assert [f.chunk_id for f in fuse(rankings, {"vector": 1.5})] == ["b", "a"]
    assert [f.chunk_id for f in fuse(rankings, {"vector": 0.5})] == ["a", "b"]


def test_ties_go_to_the_best_rank_then_the_id() -> None:
    rankings: dict[Leg, list[Hit]] = {"bm25": _hits("z", "y"), "vector": _hits("a", "b")}
    assert [f.chunk_id for f in fuse(rankings)] == ["a", "z", "b", "y"]


def test_one_leg_keeps_its_order() -> None:
    assert [f.chunk_id for f in fuse({"bm25": _hits("c", "a", "b")})] == ["c", "a", "b"]


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
        {"bm25": _hits(*first), "vector": _hits(*second)}, {"bm25": w1, "vector": w2}, k=10
    )
    assert {f.chunk_id for f in fused} == set("abcdefghijkl")
    assert all(f.score == sum(c.score for c in f.contributions) for f in fused)
    assert all(c.score == c.weight / (10 + c.rank) for f in fused for c in f.contributions)
    assert [f.score for f in fused] == sorted((f.score for f in fused), reverse=True)
