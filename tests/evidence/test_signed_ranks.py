"""Wilcoxon's signed ranks are exact, ties included."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from linnaea.statistics.over_datasets import signed_ranks


def counted_out(differences):
    """The p-value by going through all signs."""
    moved = differences[differences != 0]
    ranks = stats.rankdata(np.abs(moved))
    signs = np.array(list(product([-1, 1], repeat=len(moved))))
    far = np.abs(signs @ ranks) >= abs(float((np.sign(moved) * ranks).sum())) - 1e-9
    return float(far.mean())


@pytest.mark.parametrize(
    "differences",
    [
        [1, 1, 1, 1, 1, -1],
        [1, 2, 2, -2, 3, 3, 3, -1],
        [0, 0, 1, 1, 2, -2, 5],
        [4, 3, -2, 1, 5, 6],
        [2, 2, 2, 2, 2, 2, 2, 2],
        [1],
    ],
)
def test_all_signs_are_counted_where_differences_tie(differences):
    values = np.array(differences, dtype=float)
    assert signed_ranks(values) == pytest.approx(counted_out(values), abs=1e-12)


def test_ties_agree_with_a_permutation_test():
    values = np.array([1, 1, -1, 2, 2, 3, -3, 3, 4.0])
    expected = stats.permutation_test(
        (values,),
        lambda one: (np.sign(one) * stats.rankdata(np.abs(one))).sum(),
        permutation_type="samples",
        n_resamples=np.inf,
    ).pvalue
    assert signed_ranks(values) == pytest.approx(expected, abs=1e-12)


def test_differences_that_arithmetic_alone_tells_apart_are_tied():
    shares = np.array([0.3 - 0.2, 0.2 - 0.1, 0.1 - 0.0, 0.8 - 0.7, -(0.9 - 0.8), 0.6 - 0.5])  # a tenth each
    assert signed_ranks(shares) == pytest.approx(counted_out(np.array([1, 1, 1, 1, -1, 1.0])), abs=1e-12)


def test_without_ties_it_is_that_of_scipy_and_many_are_no_burden():
    values = np.random.default_rng(0).normal(0.2, 1, 60)
    assert signed_ranks(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue, rel=1e-9)
    assert signed_ranks(np.random.default_rng(1).normal(0.0, 1, 2_000)) > 0.01
    assert signed_ranks(np.zeros(3)) is None
