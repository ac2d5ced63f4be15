"""Nearest examples, prototypes and criticisms against their definitions, computed in another way."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from linnaea.evidence.explanation.examples.mmd_critic import criticisms, discrepancy, prototypes, similarity
from linnaea.evidence.explanation.examples.neighbours import nearest


def test_they_are_the_nearest_of_another_library():
    random = np.random.default_rng(0)
    examples, queries = random.normal(size=(60, 9)), random.normal(size=(5, 9)).astype(np.float32)
    expected = NearestNeighbors(n_neighbors=7, metric="cosine").fit(examples).kneighbors(queries)
    found = nearest(queries, examples, 7)
    np.testing.assert_allclose(found.distances, expected[0], atol=1e-6)
    assert found.rows.tolist() == expected[1].tolist()


def test_only_what_is_allowed_is_given_and_what_is_missing_is_said():
    examples = np.eye(4)
    allowed = np.array([[False, True, False, True], [False] * 4])
    found = nearest(examples[[0, 1]], examples, 3, allowed)
    assert found.rows.tolist() == [[1, 3, -1], [-1, -1, -1]]
    assert np.isnan(found.distances[0]).tolist() == [False, False, True]


def test_features_of_zeros_are_far_from_everything():
    found = nearest(np.zeros((1, 3)), np.array([[0.0, 0, 0], [1, 0, 0]]), 2)
    assert found.distances.tolist() == [[1, 1]]


def test_each_prototype_is_the_one_that_lowers_the_discrepancy_most():
    kernel = similarity(np.random.default_rng(1).normal(size=(14, 5)))
    chosen = prototypes(kernel, 4)
    for number in range(4):
        others = [row for row in range(14) if row not in chosen[:number]]
        found = [discrepancy(kernel, np.array([*chosen[:number], row])) for row in others]
        assert others[int(np.argmin(found))] == chosen[number]


def test_the_discrepancy_is_that_of_the_means_in_the_kernels_own_space():
    random = np.random.default_rng(2)
    points = random.normal(size=(8, 3))
    chosen = np.array([1, 5])
    apart = points.mean(axis=0) - points[chosen].mean(axis=0)
    assert discrepancy(points @ points.T, chosen) == pytest.approx(apart @ apart)


def test_prototypes_stand_for_each_kind_and_the_criticism_is_the_odd_one_out():
    random = np.random.default_rng(3)
    kinds = [centre + random.normal(0, 0.02, (count, 3)) for centre, count in zip(np.eye(3), (20, 20, 2), strict=True)]
    kernel = similarity(np.concatenate(kinds))
    chosen = prototypes(kernel, 2)
    assert sorted(row // 20 for row in chosen) == [0, 1]
    assert criticisms(kernel, chosen, 1)[0] >= 40


def test_criticisms_keep_apart_from_each_other():
    centres = np.repeat(np.eye(4), (10, 3, 3, 1), axis=0)
    kernel = similarity(centres + np.random.default_rng(4).normal(0, 1e-3, centres.shape))
    found = criticisms(kernel, prototypes(kernel, 1), 3)
    assert len({int(centres[row].argmax()) for row in found}) == 3


def test_copies_and_single_images_are_no_trouble():
    for features in (np.ones((1, 4)), np.ones((5, 4)), np.zeros((3, 4))):
        kernel = similarity(features)
        chosen = prototypes(kernel, 3)
        assert len(set(chosen.tolist())) == min(3, len(features))
        assert len(criticisms(kernel, chosen, 3)) == max(0, len(features) - 3)


def test_two_prototypes_come_close_to_the_best_two():
    kernel = similarity(np.random.default_rng(5).normal(size=(25, 4)))
    best = min(discrepancy(kernel, np.array(pair)) for pair in combinations(range(25), 2))
    assert discrepancy(kernel, prototypes(kernel, 2)) <= best + 0.05
