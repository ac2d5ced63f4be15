"""Ridge regression in closed form, against scikit-learn, and in the rung that takes it for many classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import Ridge

from linnaea.learning.heads import choose
from linnaea.learning.ridge import PENALTIES, fit_ridge_path, with_scale
from linnaea.learning.rungs import RUNGS
from linnaea.models.network import create_body
from linnaea.models.weights import Weights

random = np.random.default_rng(0)


def examples(images=400, width=12, classes=5):
    targets = random.integers(0, classes, images)
    features = random.normal(size=(images, width)) * np.geomspace(0.1, 10, width) + 3
    features += 2 * random.normal(size=(classes, width))[targets]
    return features.astype(np.float32), targets


@pytest.mark.parametrize("weighted", [False, True])
def test_every_head_is_that_of_scikit_learn(weighted):
    features, targets = examples()
    weights = random.uniform(0.2, 3, len(targets)).astype(np.float32) if weighted else None
    for head in fit_ridge_path(features, targets, 5, weights=weights):
        wanted = Ridge(alpha=1 / head.strength).fit(features, 2 * np.eye(5)[targets] - 1, sample_weight=weights)
        np.testing.assert_allclose(head.logits(features), wanted.predict(features), atol=2e-3)


def test_the_path_runs_from_the_strongest_penalty_and_one_is_chosen():
    features, targets = examples()
    heads = fit_ridge_path(features, targets, 5)
    strengths = [head.strength for head in heads]
    assert len(heads) == len(PENALTIES)
    assert strengths == sorted(strengths)
    assert choose(heads, *examples()).strength in strengths


def test_a_class_without_images_and_features_without_variance_are_borne():
    features, targets = examples()
    features[:, 3] = 7
    for head in fit_ridge_path(features, targets, 9):
        logits = head.logits(features)
        assert np.isfinite(logits).all()
        assert (logits.argmax(axis=1) < 5).all()


def test_scores_of_many_classes_become_logits_that_mean_something():
    features, targets = examples(6_000, 64, 300)
    head = fit_ridge_path(features[:5_000], targets[:5_000], 300)[-1]
    scaled = with_scale(head, features[5_000:], targets[5_000:])
    plain, told = (softmax(one.logits(features[5_000:]), axis=1).max(axis=1) for one in (head, scaled))
    right = (scaled.logits(features[5_000:]).argmax(axis=1) == targets[5_000:]).mean()
    assert plain.mean() < 0.1 < right
    assert told.mean() == pytest.approx(right, abs=0.1)


def test_the_frozen_rung_takes_it_where_logistic_regression_would_take_long(job, monkeypatch):
    body = create_body("test_resnet", 16, {})
    weights = Weights("test_resnet", 16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), body.state_dict(), source="drawn at random")
    given = replace(job, weights=weights)
    logistic = RUNGS["frozen"].fit(given)
    monkeypatch.setattr("linnaea.learning.rungs.frozen.MOST_PRODUCTS", 1)
    ridge = RUNGS["frozen"].fit(replace(given, heads={}))
    assert any("160 images of 2 classes are too many for logistic regression" in note for note in ridge.notes)
    assert not any("too many for logistic regression" in note for note in logistic.notes)
    right = [accuracy_of(fitted, job) for fitted in (logistic, ridge)]
    assert right[1] > right[0] - 0.1


def accuracy_of(fitted, job):
    with torch.no_grad():
        logits = fitted.model.head(torch.from_numpy(fitted.val_features))
    return (logits.argmax(dim=1).numpy() == job.val.targets).mean()
