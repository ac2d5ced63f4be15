"""Calibration errors and the parts of the Brier score: what chance adds is known, and what is there is found."""

import numpy as np
import pytest
from scipy.special import softmax
from torchmetrics.functional.classification import binary_calibration_error

from linnaea.evidence.calibration_figures import calibration_figures
from linnaea.evidence.metrics.binned import decisions_of
from linnaea.evidence.metrics.scores import BINS, Scores
from linnaea.statistics.intervals import estimate
from linnaea.statistics.spread import Sample


def simulated(count, classes=3, seed=0, factor=1.0):
    """Scores whose probabilities are those that truths are drawn by, or too sure by a factor on their logits."""
    random = np.random.default_rng(seed)
    logits = 1.5 * random.normal(size=(count, classes))
    truth = (softmax(logits, axis=1).cumsum(axis=1) < random.random((count, 1))).sum(axis=1).clip(max=classes - 1)
    said = softmax(factor * logits, axis=1)
    return Scores.of_arrays(truth, said.argmax(axis=1), said, said.max(axis=1), np.ones(count, dtype=bool))


def told(scores, groups=None):
    sample = Sample(len(scores), groups)
    return estimate(calibration_figures(scores, sample), sample)


def test_parts_of_the_brier_score_make_it_up_and_are_those_of_the_papers():
    for classes in (2, 4):
        scores = simulated(400, classes, factor=2.0)
        found = told(scores)
        parts = [found[f"brier_{name}"].value for name in ("reliability", "resolution", "uncertainty")]
        assert parts[0] - parts[1] + parts[2] == pytest.approx(scores.squared_error.mean())
        plain = bias = 0.0
        for k in range(classes):
            p, there = scores.probabilities[:, k], scores.targets == k
            for own in range(BINS):
                inside = np.minimum((p * BINS).astype(int), BINS - 1) == own
                n = inside.sum()
                if n:
                    share = there[inside].mean()
                    plain += n / 400 * (p[inside].mean() - share) ** 2
                    bias += n / 400 * share * (1 - share) / (n - 1) if n > 1 else 0
        assert parts[0] == pytest.approx(plain - bias)


def test_errors_are_those_of_plain_loops_and_of_torchmetrics():
    import torch

    scores = simulated(500, 3, factor=1.7)
    found = told(scores)
    worst = binary_calibration_error(
        torch.from_numpy(scores.confidence), torch.from_numpy(scores.hits.astype(int)), n_bins=BINS, norm="max"
    )
    assert found["mce"].value == pytest.approx(float(worst), abs=1e-6)
    order = np.argsort(scores.confidence)
    parts = np.array_split(order, BINS)
    gap = sum(abs((scores.confidence - scores.hits)[part].sum()) for part in parts) / 500
    assert found["ece_equal_mass"].value == pytest.approx(gap, abs=0.02)
    classwise = []
    for k in range(3):
        p, there = scores.probabilities[:, k], scores.targets == k
        inside = np.minimum((p * BINS).astype(int), BINS - 1)
        classwise.append(sum(abs((p - there)[inside == own].sum()) for own in range(BINS)) / 500)
    assert found["ece_classwise"].value == pytest.approx(np.mean(classwise))


@pytest.fixture(scope="module")
def calibrated():
    """What is told of 80 samples of a classifier whose probabilities are right."""
    return [told(simulated(300, seed=seed)) for seed in range(80)]


def test_where_probabilities_are_right_little_is_left_and_seldom_contradicted(calibrated):
    plain, debiased = (np.mean([one[f"ece_{name}"].value for one in calibrated]) for name in ("equal_mass", "debiased"))
    assert plain > 0.05
    assert debiased < 0.65 * plain
    assert sum(one["p_calibrated"].value < 0.05 for one in calibrated) <= 9
    reliability = [one["brier_reliability"].value for one in calibrated]
    assert abs(np.mean(reliability)) < 3 * np.std(reliability) / np.sqrt(80)  # no bias
    for name in ("ece_equal_mass", "ece_debiased", "mce", "ece_classwise", "brier_reliability"):
        assert sum(one[name].lo > 0 for one in calibrated) <= 7


def test_limits_hold_the_true_error_where_there_is_one():
    large = told(simulated(100_000, seed=99, factor=2.0))
    samples = [told(simulated(400, seed=seed, factor=2.0)) for seed in range(60)]
    for name in ("ece_equal_mass", "ece_debiased", "ece_classwise", "brier_reliability", "brier_resolution"):
        held = [one[name].lo <= large[name].value <= one[name].hi for one in samples]
        assert sum(held) >= 52, name
    assert sum(one["p_calibrated"].value < 0.05 for one in samples) >= 57


def test_bands_are_where_shares_lie_if_what_is_said_is_right():
    outside, seen = 0, 0
    for seed in range(30):
        scores = simulated(400, seed=seed)
        binned = decisions_of(scores, Sample(400))
        low, high = binned.bands()
        used = np.unique(binned.places)
        right = np.bincount(binned.places, binned.true)[used] / np.bincount(binned.places)[used]
        outside += int(((right < low - 1e-9) | (right > high + 1e-9)).sum())
        seen += len(used)
    assert outside / seen < 0.06


def test_images_of_a_group_do_not_count_as_so_many():
    few = simulated(60, seed=3)
    rows = np.repeat(np.arange(60), 10)
    copied = few.take(rows)
    alone, grouped = told(copied), told(copied, rows)
    assert alone["p_calibrated"].value < grouped["p_calibrated"].value
    assert grouped["ece_equal_mass"].lo <= alone["ece_equal_mass"].lo
    assert "over 60 groups" in grouped["ece_equal_mass"].method


def test_one_image_and_none_have_no_interval_and_no_figure():
    one, none = told(simulated(1)), told(simulated(1).with_readable(np.zeros(1, dtype=bool)))
    assert one["ece_equal_mass"].lo is None
    assert one["ece_equal_mass"].value is not None
    assert {name: figure.value for name, figure in none.items()} == dict.fromkeys(none)
    assert "no readable images" in none["mce"].method


def test_of_too_many_probabilities_the_figures_by_class_are_undefined_and_say_why(monkeypatch):
    scores = simulated(100, 3)
    whole = told(scores)
    monkeypatch.setattr("linnaea.evidence.calibration_figures.MOST_PROBABILITIES", 299)
    found = told(scores)
    assert found.keys() == whole.keys()
    for name in ("ece_classwise", "brier_reliability", "brier_resolution", "brier_uncertainty"):
        assert whole[name].value is not None
        assert found[name].value is None
        assert found[name].method == "not defined: 100 images of 3 classes are more than 299 probabilities"
    assert found["mce"] == whole["mce"]
