"""The worst group is named and tested by the metric of the task, in the direction in which that is better."""

import numpy as np
import pytest
from scipy import stats

from linnaea.evidence.fairness import judge_groups, slices_of
from linnaea.evidence.fairness.worst import by_metric, worst_of
from linnaea.evidence.metrics import metrics_of, scores_of
from linnaea.finding import Estimate
from linnaea.predictions import Predictions
from linnaea.statistics.shuffled_figures import p_of_figures
from linnaea.statistics.spread import Sample

NAMES = ("cat", "dog")


def several(there, probabilities, **columns):
    """Predictions of several labels, each answered where its probability is a half or more."""

    def labels(flags):
        return [[name for name, flag in zip(NAMES, row, strict=True) if flag] for row in flags]

    n = len(there)
    made = {
        "id": [str(row) for row in range(n)],
        "truth": labels(there),
        "unknown": [[] for _ in range(n)],
        "probabilities": probabilities,
        "label": labels(probabilities >= 0.5),
        "confidence": np.full(n, 0.8),
        "reason": ["ok"] * n,
    }
    return Predictions.from_columns(made | columns, NAMES, "multilabel")


def ranked(seed, noise=(1.0, 1.0), faint=(1.0, 1.0), n=160, **columns):
    """Images of two sites, whose labels are ranked with the site's own noise; `faint` scales what is said of them."""
    random = np.random.default_rng(seed)
    site, there = np.arange(n) % 2, random.random((n, 2)) < 0.4
    signal = 2.0 * there - 1.0 + random.normal(0, 1, (n, 2)) * np.asarray(noise)[site][:, None]
    probabilities = np.asarray(faint)[site][:, None] / (1 + np.exp(-2 * signal))
    return several(there, probabilities, **columns), slices_of({"site": site.tolist()}, ["site"])


def told_of(predictions, slices):
    told = judge_groups(predictions, slices, replicates=40)
    return next(one for one in told.findings if one.name == "worst_group")


def test_a_group_that_is_only_told_too_faintly_is_not_worse_by_average_precision():
    found = told_of(*ranked(0, noise=(0.3, 0.3), faint=(1.0, 0.45)))
    assert not found.rows[0]["found"], "its labels are ranked as well as the others, and map is about the ranking"
    assert found.rows[0]["tested"] == "map"


def test_a_group_that_is_ranked_worse_is_found():
    found = told_of(*ranked(1, noise=(0.5, 3.0)))
    assert found.rows[0]["group"] == "1"
    assert found.rows[0]["found"]
    assert "worse in map than the others" in found.summary


@pytest.mark.slow
def test_nothing_is_said_of_rankings_in_95_of_100_evaluations_where_nothing_differs():
    loud = 0
    for seed in range(100):
        predictions, (slices,) = ranked(seed, n=90)
        scores = scores_of(predictions)
        told = by_metric(metrics_of(scores)["map"], "map", scores, slices, Sample.of(90, None), smallest=10, seed=seed)
        loud += told.least <= 0.05
    assert loud <= 9  # 5 are expected; 9 are exceeded in 3 of 100 such hundreds


def test_images_that_are_not_independent_leave_the_test_to_right_decisions_and_say_so():
    predictions, slices = ranked(2, group=[str(row // 4) for row in range(160)])
    found = told_of(predictions, slices)
    assert found.rows[0]["tested"] == "right decisions about labels"
    assert "tested by right decisions about labels, as map itself cannot be" in found.summary


def test_of_a_metric_that_is_better_low_the_highest_group_is_the_worst():
    (slices,) = slices_of({"site": ["a"] * 50 + ["b"] * 50}, ["site"])
    told = [Estimate(0.1, 0.05, 0.2, 50, "Wilson"), Estimate(0.3, 0.2, 0.4, 50, "Wilson")]
    assert worst_of(slices, told, 10, higher_is_better=True)[0] == 0
    group, figure = worst_of(slices, told, 10, higher_is_better=False)
    assert group == 1
    assert figure.lo < 0.2 < 0.4 < figure.hi  # of the highest true one, widened for two


def test_the_risk_of_a_taxonomy_is_tested_in_its_own_direction():
    random, n = np.random.default_rng(3), 200
    names, targets, site = ("cat", "dog", "owl"), random.integers(0, 3, 200), np.arange(200) % 2
    answers = np.where((site == 1) & (random.random(n) < 0.4), (targets + 1) % 3, targets)
    probabilities = np.full((n, 3), 0.1)
    probabilities[np.arange(n), answers] = 0.8
    columns = {
        "id": [str(row) for row in range(n)],
        "truth": [names[target] for target in targets],
        "probabilities": probabilities,
        "label": [names[answer] for answer in answers],
        "confidence": probabilities.max(axis=1),
        "reason": ["ok"] * n,
    }
    scores = scores_of(Predictions.from_columns(columns, names, "hierarchical", {"cat": "mammal", "dog": "mammal"}))
    (slices,) = slices_of({"site": site.tolist()}, ["site"])
    found = by_metric(metrics_of(scores)["risk"], "risk", scores, slices, Sample.of(n, None), smallest=10, seed=0)
    assert found.behind[1] > 0.2
    assert found.p[1] < 0.01


def test_shuffled_figures_agree_with_scipy():
    random = np.random.default_rng(4)
    values, places = random.normal(size=40), np.repeat([0, 1], 20)
    values[places == 1] += 0.55

    def mean(weights):
        return weights @ values / weights.sum(axis=1)

    expected = stats.permutation_test(
        (values[places == 0], values[places == 1]),
        lambda one, other: np.mean(one) - np.mean(other),
        n_resamples=9999,
        random_state=0,
    ).pvalue
    assert p_of_figures(mean, places, 2, draws=4000) == pytest.approx([expected, expected], abs=0.02)
