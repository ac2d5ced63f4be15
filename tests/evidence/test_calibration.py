"""Calibration and policy, checked by simulation and against an independent fit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from linnaea.classifier.calibrators import CALIBRATORS
from linnaea.classifier.calibrators.temperature import Temperature
from linnaea.decisions import Policy
from linnaea.errors import UsageError
from linnaea.evidence.calibration import Aims, rejection_threshold, without_groups
from linnaea.evidence.calibrator_choice import as_of_new_images
from linnaea.evidence.conformal.by_probability import conformal_threshold


def simulated(count, classes=5, temperature=1.0, seed=0):
    """Logits whose softmax, at `temperature`, is the true distribution of the targets."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.normal(size=(count, classes))
    draws = generator.random((count, 1))
    targets = (softmax(logits, axis=1).cumsum(axis=1) < draws).sum(axis=1)
    return logits * temperature, targets.clip(max=classes - 1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_temperature_is_recovered(temperature):
    logits, targets = simulated(20_000, temperature=temperature)
    assert Temperature.fit(logits, targets).temperature == pytest.approx(temperature, rel=0.05)


def test_temperature_minimises_the_loss_as_torch_sees_it():
    logits, targets = simulated(500, temperature=2.0)
    fitted = Temperature.fit(logits, targets).temperature

    def loss(temperature):
        scaled = torch.from_numpy(logits / temperature)
        return float(torch.nn.functional.cross_entropy(scaled, torch.from_numpy(targets)))

    assert loss(fitted) <= min(loss(fitted * 1.02), loss(fitted / 1.02))


def test_perfect_validation_pictures_do_not_make_it_certain():
    targets = np.arange(200) % 4
    logits = 3.0 * np.eye(4)[targets] + np.random.default_rng(0).normal(size=(200, 4)) * 0.1
    confidence = softmax(logits / Temperature.fit(logits, targets).temperature, axis=1).max(axis=1)
    assert 1 - 2 / 200 < confidence.mean() < 1 - 0.5 / 200


def test_sets_cover_what_they_claim_over_many_splits():
    logits, targets = simulated(4_000)
    probabilities = softmax(logits, axis=1)
    generator, covered = np.random.default_rng(1), []
    for _ in range(400):
        order = generator.permutation(len(targets))
        fit, new = order[:200], order[200:]
        threshold = conformal_threshold(probabilities[fit], targets[fit], 0.9)
        covered.append((probabilities[new, targets[new]] >= threshold).mean())
    assert np.mean(covered) + 0.003 >= 0.9
    assert np.mean(covered) < 0.91


def test_rejection_rate_is_kept_over_many_splits():
    generator = np.random.default_rng(0)
    rejected = []
    for _ in range(400):
        scores = generator.gamma(2.0, size=600)
        rejected.append((scores[200:] > rejection_threshold(scores[:200], 0.05)).mean())
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.006)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50), st.floats(0.01, 0.5))
def test_a_rejection_threshold_rejects_no_more_than_its_share(values, rate):
    scores = np.array(values)
    assert (scores > rejection_threshold(scores, rate)).mean() <= rate


def test_too_few_pictures_put_every_label_in_the_set():
    assert conformal_threshold(np.full((5, 2), 0.5), np.zeros(5, dtype=int), 0.9) == 0.0


@pytest.mark.parametrize("aim", ["coverage", "unsure_rate", "unfamiliar_rate"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 90])
def test_impossible_aims_are_refused(aim, value):
    with pytest.raises(UsageError, match=aim):
        Aims(**{aim: value})


@pytest.mark.parametrize("name", ["histogram", "dirichlet"])
def test_sets_cover_what_they_claim_whatever_the_calibrator(name):
    covered, known = [], []
    for seed in range(12):
        raw, targets = simulated(200, seed=seed)
        new, truth = simulated(2_000, seed=1_000 + seed)
        calibrator = CALIBRATORS[name].fit(raw, targets)
        said = [softmax(calibrator(torch.from_numpy(given)).numpy(), axis=1) for given in (raw, new)]
        unseen = softmax(as_of_new_images(calibrator, raw, targets), axis=1)
        own = said[1][np.arange(len(truth)), truth]
        covered.append((own >= conformal_threshold(unseen, targets, 0.9)).mean())
        known.append((own >= conformal_threshold(said[0], targets, 0.9)).mean())
    assert np.mean(covered) > 0.885  # a method of folds: near what is asked, and not exact
    assert np.mean(known) < np.mean(covered) - 0.01  # as thresholds on the images that were fitted to would promise


def test_one_temperature_is_taken_as_it_is():
    raw, targets = simulated(300)
    fitted = Temperature.fit(raw, targets)
    assert np.allclose(as_of_new_images(fitted, raw, targets), raw / fitted.temperature)


def test_thresholds_of_groups_do_not_outlive_the_probabilities_they_were_fitted_to():
    kept, said = without_groups(Policy(group_by="site", group_thresholds=(("north", 0.4),)), 50)
    assert (kept.group_by, kept.group_thresholds) == ("", ())
    assert said[0].severity == "warning"
    assert without_groups(Policy(), 50) == (Policy(), [])
