"""What figures of order are to first order: their slopes, and the intervals that come of them."""

import numpy as np
import pytest
from scipy.special import expit

from linnaea.evidence import figures
from linnaea.evidence.metrics import LABEL_METRICS, METRICS, LabelScores, Scores
from linnaea.evidence.uncertainty import of_metric
from linnaea.statistics.intervals import estimate
from linnaea.statistics.spread import Sample

STEP = 1e-4


def label_scores(random, n=50):
    """Four labels with tied probabilities; some images are unreadable, some truths unknown."""
    truth = (random.random((n, 4)) < [0.5, 0.3, 0.2, 0.1]).astype(float)
    probabilities = np.round(expit(random.normal(size=(n, 4)) + 2 * truth - 1), 1)
    readable = random.random(n) < 0.9
    probabilities[~readable] = np.nan
    truth[random.random((n, 4)) < 0.1] = np.nan
    answers = np.nan_to_num(probabilities > 0.5).astype(float)
    return LabelScores(truth, answers, probabilities, np.log(np.maximum(probabilities, 1e-9)), readable)


def scores_of(name, random, n=50):
    """Scores with ties and unreadable images, of three classes, or of two where the metric wants two."""
    classes = 2 if METRICS[name].needs is METRICS["average_precision"].needs else 3
    targets = random.integers(0, classes, n)
    probabilities = np.round(random.dirichlet(np.ones(classes), n) + 0.6 * np.eye(classes)[targets], 1)
    readable = random.random(n) < 0.9
    probabilities[~readable] = np.nan
    answers = np.where(readable, np.nan_to_num(probabilities).argmax(axis=1), -1)
    return Scores.of_arrays(targets, answers, probabilities, probabilities.max(axis=1), readable)


LINEAR = [(METRICS, name) for name, metric in METRICS.items() if metric.linear]
LINEAR += [(LABEL_METRICS, name) for name, metric in LABEL_METRICS.items() if metric.linear]


@pytest.mark.parametrize(("family", "name"), LINEAR, ids=[name for _, name in LINEAR])
@pytest.mark.parametrize("seed", range(3))
def test_the_influence_of_an_image_is_the_slope_in_its_weight(family, name, seed):
    random = np.random.default_rng(seed)
    scores = scores_of(name, random) if family is METRICS else label_scores(random)
    metric = family[name]
    linear, ones = metric.linear(scores), np.ones((1, len(scores)))
    np.testing.assert_allclose(linear(ones), metric(scores, ones), rtol=1e-12)
    moved = STEP * np.eye(len(scores))
    slopes = (metric(scores, ones + moved) - metric(scores, ones - moved)) / (2 * STEP)
    np.testing.assert_allclose(linear.influence, slopes, atol=1e-6)


@pytest.mark.parametrize(("family", "name"), LINEAR, ids=[name for _, name in LINEAR])
def test_its_parts_are_those_of_the_exact_figure(family, name):
    random = np.random.default_rng(5)
    scores = scores_of(name, random) if family is METRICS else label_scores(random)
    values, images = family[name].parts(scores)
    linear = family[name].linear(scores)
    np.testing.assert_allclose(linear.values, values, rtol=1e-12)
    np.testing.assert_allclose(linear.images, images)


def test_a_metric_that_sorts_too_much_is_told_to_first_order_and_says_so(random_ones, monkeypatch):
    predictions = random_ones(2_000, 3, skill=1.0)
    exact = figures(predictions, replicates=400)
    monkeypatch.setattr("linnaea.evidence.uncertainty._SORTED_WEIGHTS", 100)
    linear = figures(predictions, replicates=400)
    for name in ("roc_auc_ovr", "aurc"):
        assert exact[name].method == "jackknife, 400 parts"
        assert linear[name].method == "jackknife, to first order"
        width = exact[name].hi - exact[name].lo
        for field in ("value", "lo", "hi"):
            assert getattr(linear[name], field) == pytest.approx(getattr(exact[name], field), abs=0.05 * width)
    assert linear["nll"] == exact["nll"]


def test_intervals_to_first_order_cover_the_truth(monkeypatch):
    monkeypatch.setattr("linnaea.evidence.uncertainty._SORTED_WEIGHTS", 1)
    random = np.random.default_rng(11)
    large = scores_of("roc_auc_ovr", random, 200_000)
    names = ("roc_auc_ovr", "aurc")
    truth = {name: METRICS[name].linear(large)(np.ones((1, len(large))))[0] for name in names}
    covered = dict.fromkeys(names, 0)
    for seed in range(500):
        scores, sample = scores_of("roc_auc_ovr", random, 400), Sample(400)
        statistics = {name: of_metric(METRICS[name], scores, sample) for name in names}
        for name, found in estimate(statistics, sample, seed=seed, replicates=400).items():
            covered[name] += found.lo <= truth[name] <= found.hi
    for name in names:
        assert 0.92 <= covered[name] / 500 <= 0.98, (name, covered[name] / 500)


def test_classes_of_few_images_are_told_exactly_or_the_interval_is_called_too_narrow(random_ones, monkeypatch):
    predictions = random_ones(60, 20)
    monkeypatch.setattr("linnaea.evidence.uncertainty._SORTED_WEIGHTS", 20)
    assert "first order" not in figures(predictions, replicates=50)["roc_auc_ovr"].method
    monkeypatch.setattr("linnaea.evidence.uncertainty._TOO_MANY", 1)
    method = figures(predictions, replicates=50)["roc_auc_ovr"].method
    assert method.endswith(", to first order, too narrow: some classes have few images")
