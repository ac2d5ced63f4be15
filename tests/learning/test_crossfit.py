"""Out-of-sample probabilities are those of ridge regressions that were really fitted without the fold."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from linnaea.learning import crossfit
from linnaea.learning.crossfit import cross_fit


@pytest.fixture(params=[12, 400], ids="{} features".format)
def data(request):
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 3, 240)
    features = generator.normal(size=(240, request.param)).astype(np.float32)
    features[:, :3] += (2.0 if request.param == 12 else 8.0) * np.eye(3)[targets]
    return features, targets, generator.integers(0, 4, 240)


def test_scores_are_those_of_scikit_learn(data, monkeypatch):
    features, targets, folds = data
    seen = []
    monkeypatch.setattr(crossfit, "PENALTIES", (0.1,))
    monkeypatch.setattr(crossfit, "_calibrated", lambda scores, targets: seen.extend(score.numpy() for score in scores))
    cross_fit(features, folds)(targets, 3)
    inputs = (features - features.mean(axis=0)) / features.std(axis=0, ddof=1)
    expected = np.zeros((240, 3))
    for fold in range(4):
        own = folds == fold
        alpha = 0.1 * (inputs[~own] ** 2).sum(axis=0).mean()
        expected[own] = Ridge(alpha=alpha).fit(inputs[~own], np.eye(3)[targets[~own]]).predict(inputs[own])
    assert seen[0] == pytest.approx(expected, abs=2e-3)


def test_probabilities_are_calibrated_and_right(data):
    features, targets, folds = data
    probabilities = cross_fit(features, folds)(targets, 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(240), abs=1e-5)
    right = probabilities.argmax(axis=1) == targets
    assert right.mean() > 0.75
    assert probabilities.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.06)


def test_one_fit_serves_all_targets(data, monkeypatch):
    features, targets, folds = data
    fit = cross_fit(features, folds)
    monkeypatch.setattr(crossfit, "_factors", lambda *_: pytest.fail("factorised again"))
    others = fit((targets + 1) % 3, 3)
    assert others[:, [1, 2, 0]] == pytest.approx(fit(targets, 3), abs=1e-4)


def test_an_image_does_not_vouch_for_itself():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(300, 200)).astype(np.float32)
    targets = generator.integers(0, 2, 300)
    probabilities = cross_fit(features, np.arange(300) % 5)(targets, 2)
    assert (probabilities.argmax(axis=1) == targets).mean() < 0.6
