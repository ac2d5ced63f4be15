"""Areas under ROC curves of many classes, told without sorting, and counts of positives told by a table."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from linnaea.evidence.metrics import METRICS, Scores, against, ranking
from linnaea.evidence.metrics.influence import Standing


def scores_of(random, images, classes, places=2):
    targets = random.integers(0, classes, images)
    probabilities = np.round(random.dirichlet(np.ones(classes), images) + 0.3 * np.eye(classes)[targets], places)
    readable = random.random(images) < 0.9
    return Scores.of_arrays(targets, probabilities.argmax(axis=1), probabilities, probabilities.max(axis=1), readable)


@pytest.mark.parametrize(("images", "classes"), [(1, 3), (2, 3), (40, 12), (300, 30), (400, 5)])
def test_both_ways_agree(images, classes, monkeypatch):
    random = np.random.default_rng(images)
    scores, weights = scores_of(random, images, classes), random.integers(0, 3, (30, images)).astype(float)
    monkeypatch.setattr(against, "_CHEAPER", 0)
    sorted_ones = ranking.roc_auc_ovr(scores, weights)
    monkeypatch.setattr(against, "_CHEAPER", 1_000_000)
    np.testing.assert_allclose(ranking.roc_auc_ovr(scores, weights), sorted_ones, rtol=1e-12)


def test_few_rows_at_a_time_are_the_same(monkeypatch):
    scores = scores_of(np.random.default_rng(1), 90, 20).take(np.arange(90))
    weights = np.random.default_rng(2).random((7, 90))
    whole = ranking.roc_auc_ovr(scores, weights)
    monkeypatch.setattr(against, "_ELEMENTS", 90 * 4)
    np.testing.assert_allclose(ranking.roc_auc_ovr(scores, weights), whole, rtol=1e-12)


def test_of_many_classes_it_is_the_area_of_scikit_learn():
    random = np.random.default_rng(3)
    targets = np.concatenate([np.arange(60), random.integers(0, 60, 240)])
    probabilities = random.dirichlet(np.ones(60), 300) + 0.02 * np.eye(60)[targets]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    scores = Scores.of_arrays(
        targets, probabilities.argmax(axis=1), probabilities, probabilities.max(axis=1), np.ones(300, dtype=bool)
    )
    assert against.pays(300, 60)
    known = roc_auc_score(targets, probabilities, multi_class="ovr")
    assert METRICS["roc_auc_ovr"](scores, np.ones((1, 300)))[0] == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("places", [None, 2])
def test_a_table_counts_as_a_search_does(kind, places, monkeypatch):
    monkeypatch.setattr("linnaea.evidence.metrics.influence._WORTH_A_TABLE", 1)
    random = np.random.default_rng(4)
    probabilities = random.random(5_000) ** 6
    probabilities = (probabilities if places is None else np.round(probabilities, places)).astype(kind)
    probabilities[:6] = [0, -0.0, 1, 1e-42, 0.5, 0.5]
    there = random.random(5_000) < 0.05
    there[:5] = True
    standing, positives = Standing.of(probabilities, there), np.sort(probabilities[there])
    np.testing.assert_array_equal(standing.lower, positives.searchsorted(probabilities, side="left"))
    np.testing.assert_array_equal(standing.upper, positives.searchsorted(probabilities, side="right"))


def test_a_negative_score_is_searched_for(monkeypatch):
    monkeypatch.setattr("linnaea.evidence.metrics.influence._WORTH_A_TABLE", 1)
    values = np.array([-1.0, -0.5, 0.0, 2.0])
    standing = Standing.of(values, np.array([False, True, False, True]))
    assert standing.lower.tolist() == [0, 0, 1, 1]
