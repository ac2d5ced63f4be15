"""Similar pairs are exactly those that a plain product finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.data.duplicates import similarity
from linnaea.data.duplicates.similarity import similar_pairs, unit


def plain(vectors, threshold):
    products = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    left, right = np.nonzero(np.triu(products >= threshold, 1))
    return set(zip(left.tolist(), right.tolist(), strict=True))


def found(vectors, threshold, **options):
    left, right, similarity, floor = similar_pairs(vectors, threshold, **options)
    assert floor == threshold
    assert (similarity >= threshold).all()
    pairs = list(zip(left.tolist(), right.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    return set(pairs)


@given(st.integers(0, 60), st.integers(1, 40), st.floats(0.2, 0.99), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_no_pair_is_lost_or_invented(count, width, threshold, seed):
    generator = np.random.default_rng(seed)
    vectors = unit(generator.normal(size=(count, width)) + 2 * generator.normal(size=(1, width)))
    unsure = plain(vectors, threshold - 1e-6) - plain(vectors, threshold + 1e-6)
    assert found(vectors, threshold) ^ plain(vectors, threshold) <= unsure


def test_pairs_cross_blocks(monkeypatch):
    monkeypatch.setattr(similarity, "BLOCK", 8)
    vectors = unit(np.random.default_rng(0).normal(size=(100, 3)))
    assert found(vectors, 0.9) == plain(vectors, 0.9)


def test_other_views_count_both_ways():
    vectors, view = (unit(np.random.default_rng(seed).normal(size=(50, 4))) for seed in (0, 1))
    either = (vectors @ view.T >= 0.8) | (view @ vectors.T >= 0.8) | (vectors @ vectors.T >= 0.8)
    expected = set(zip(*(side.tolist() for side in np.nonzero(np.triu(either, 1))), strict=True))
    assert found(vectors, 0.8, others=[view]) == expected


def test_the_closest_are_kept_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(similarity, "BLOCK", 8)
    vectors = unit(np.random.default_rng(0).normal(size=(200, 3)))
    products = (vectors @ vectors.T)[np.triu_indices(200, 1)]
    _, _, kept, floor = similar_pairs(vectors, 0.5, most=50)
    assert 50 <= len(kept) <= 100
    assert floor > 0.5
    assert np.sort(kept)[-50:] == pytest.approx(np.sort(products)[-50:], abs=1e-5)


def test_zeros_are_similar_to_nothing():
    assert found(unit(np.zeros((4, 3))), 0.1) == set()
    assert unit(np.array([[3.0, 4.0]])) == pytest.approx(np.array([[0.6, 0.8]]))
