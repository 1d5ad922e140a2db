"""Measures against values worked out by hand."""

import math

import pytest

from retrieval.evaluation.measures import (
    MEASURES,
    ndcg,
    randomisation_test,
    recall,
    reciprocal_rank,
)

GRADES = {"a": 3, "b": 1, "c": 2, "bad": 0, "worse": -1}


def test_ndcg_discounts_by_the_logarithm_and_takes_the_grade_as_gain() -> None:
    # Found: grade 1 at rank 1, nothing at 2, grade 3 at 3. Ideal: 3, 2, 1.
    found = 1 / 1 + 3 / 2
    ideal = 3 / 1 + 2 / math.log2(3) + 1 / 2
    assert ndcg(["b", "x", "a"], GRADES, 10) == pytest.approx(found / ideal)
    assert ndcg(["b", "x", "a"], GRADES, 10) == pytest.approx(0.525005, abs=1e-6)


def test_ndcg_of_the_ideal_order_is_one_and_sees_no_further_than_its_cutoff() -> None:
    assert ndcg(["a", "c", "b"], GRADES, 10) == pytest.approx(1.0)
    assert ndcg(["a", "c", "x"], GRADES, 2) == pytest.approx(1.0)
    assert ndcg(["x", "y", "a"], GRADES, 2) == 0.0


def test_what_is_judged_not_relevant_neither_gains_nor_costs() -> None:
    assert ndcg(["bad", "worse", "a"], GRADES, 10) == ndcg(["x", "y", "a"], GRADES, 10)
    assert reciprocal_rank(["worse", "bad", "c"], GRADES, 10) == pytest.approx(1 / 3)
    assert recall(["bad", "worse"], GRADES, 10) == 0.0


def test_recall_counts_relevant_documents_up_to_the_cutoff() -> None:
    assert recall(["x", "a", "y", "c", "b"], GRADES, 4) == pytest.approx(2 / 3)


def test_reciprocal_rank_ends_at_the_cutoff() -> None:
    ranking = [str(n) for n in range(10)] + ["a"]
    assert reciprocal_rank(ranking, GRADES, 10) == 0.0
    assert reciprocal_rank(ranking, GRADES, 11) == pytest.approx(1 / 11)


def test_the_reported_measures_cut_where_their_names_say() -> None:
    ranking = [str(n) for n in range(10)] + ["a", "b", "c"]
    scores = {name: measure(ranking, GRADES) for name, measure in MEASURES.items()}
    assert scores == {"nDCG@10": 0.0, "recall@10": 0.0, "recall@100": 1.0, "MRR@10": 0.0}


def test_p_is_the_share_of_sign_flips_with_as_large_a_difference() -> None:
    # Of the 2^5 signs of five equal differences, all plus and all minus are as large: 1/16.
    p = randomisation_test([0.5] * 5, [0.4] * 5)
    assert p == pytest.approx(1 / 16, abs=0.01)
    # Of 1 and 3 every sign gives a sum of 4 or 2: half are as large as the 4 seen.
    assert randomisation_test([1, 3], [0, 0]) == pytest.approx(1 / 2, abs=0.02)


def test_p_is_two_sided_seeded_and_never_zero() -> None:
    better, worse = [0.9] * 40, [0.1] * 40
    assert randomisation_test(better, worse) == 1 / 10_001
    assert randomisation_test(worse, better) == 1 / 10_001
    mixed = [0.3, 0.1, 0.5, 0.2, 0.9, 0.4]
    assert randomisation_test(mixed, [0.3] * 6, seed=7) == randomisation_test(
        mixed, [0.3] * 6, seed=7
    )
    assert randomisation_test(mixed, mixed) == 1.0
