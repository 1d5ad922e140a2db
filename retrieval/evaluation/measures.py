"""Measures of a ranking against graded judgments, and a test of their difference.

Pure. A ranking is a sequence of distinct document ids, best first; judgments give the grade of
each judged document, and a grade above 0 is relevant. Definitions follow trec_eval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

RANDOMISATIONS = 10_000
"""Sign flips that a paired test draws."""

_BLOCK = 1000  # Flips drawn at once: 1,000 queries are 8 MB.


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Give the normalised discounted cumulative gain of the first ``k``.

    The gain is the grade, the discount the binary logarithm of rank + 1.
    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002.
    """
    ideal = _dcg(sorted(grades.values(), reverse=True)[:k])
    return _dcg([grades.get(document, 0) for document in ranking[:k]]) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Give the share of the relevant documents that are among the first ``k``."""
    relevant = {document for document, grade in grades.items() if grade > 0}
    return len(relevant.intersection(ranking[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Give 1 / rank of the first relevant document; 0 when none is among the first ``k``."""
    for rank, document in enumerate(ranking[:k], start=1):
        if grades.get(document, 0) > 0:
            return 1 / rank
    return 0.0


Measure = Callable[[Sequence[str], Mapping[str, int]], float]
"""Scores one query's ranking against its judgments: from 0 to 1, more is better."""

MEASURES: Mapping[str, Measure] = {
    "nDCG@10": lambda ranking, grades: ndcg(ranking, grades, 10),
    "recall@10": lambda ranking, grades: recall(ranking, grades, 10),
    "recall@100": lambda ranking, grades: recall(ranking, grades, 100),
    "MRR@10": lambda ranking, grades: reciprocal_rank(ranking, grades, 10),
}
"""What an evaluation reports, by name."""


def randomisation_test(
    first: Sequence[float],
    second: Sequence[float],
    flips: int = RANDOMISATIONS,
    seed: int = 0,
) -> float:
    """Give the two-sided p of a difference in means as large as that of paired scores.

    Each flip gives every difference a random sign, as if the two systems were one. The observed
    signs count as a flip, so p is never 0. The same seed gives the same p.
    Source: Smucker, Allan and Carterette, "A comparison of statistical significance tests for
    information retrieval evaluation", CIKM 2007.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    observed = abs(differences.sum())
    slack = 1e-12 * max(1.0, float(np.abs(differences).sum()))  # sums in another order
    generator = np.random.default_rng(seed)
    as_large = 0
    for start in range(0, flips, _BLOCK):
        shape = (min(_BLOCK, flips - start), len(differences))
        signs = generator.integers(0, 2, shape, np.int8) * 2.0 - 1.0
        as_large += int((np.abs(signs @ differences) >= observed - slack).sum())
    return (as_large + 1) / (flips + 1)


def _dcg(gains: Sequence[int]) -> float:
    return sum(max(gain, 0) / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
