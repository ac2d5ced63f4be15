"""Linear heads against scikit-learn's own."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as cross_entropy
from sklearn.preprocessing import StandardScaler

from linnaea.learning.heads import LinearHead, choose, fit_path
from linnaea.learning.losses.binary_cross_entropy import binary_cross_entropy
from linnaea.learning.losses.squared_hinge import squared_hinge


def data(classes=4, seed=0, count=400):
    features, targets = make_classification(
        count, 20, n_informative=8, n_classes=classes, class_sep=0.8, random_state=seed
    )
    return (3 * features + 7).astype(np.float32), targets.astype(np.int64)


@pytest.mark.parametrize("strength", [0.01, 1.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_head_equals_scikit_learn(strength, classes):
    features, targets = data(classes)
    (head,) = fit_path(features, targets, classes, strengths=[strength], iterations=1000)
    reference = LogisticRegression(C=strength, max_iter=5000, tol=1e-8)
    scaled = StandardScaler().fit_transform(features)
    if classes == 2:  # scikit-learn fits one weight vector for two classes: two opposite ones share the penalty
        reference.set_params(C=2 * strength)
    expected = reference.fit(scaled, targets).predict_proba(scaled)
    logits = head.logits(features).astype(float)
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_fewer_images_than_features_have_the_same_head_as_scikit_learns():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 3, 60)
    features = generator.normal(size=(3, 200))[targets] * 0.5 + generator.normal(size=(60, 200))
    features[:, 0] = 5  # it says nothing
    others = generator.normal(size=(40, 200)).astype(np.float32)
    others[:, 0] = 5
    (head,) = fit_path(features.astype(np.float32), targets, 3, strengths=[0.3], iterations=1000)
    scaler = StandardScaler().fit(features)
    reference = LogisticRegression(C=0.3, max_iter=5000, tol=1e-8).fit(scaler.transform(features), targets)
    found, expected = head.logits(others), reference.decision_function(scaler.transform(others))
    np.testing.assert_allclose(found - found.mean(axis=1, keepdims=True), expected, atol=0.01)


def test_svm_head_minimises_the_one_against_the_rest_squared_hinge():
    features, targets = data(3)
    (head,) = fit_path(features, targets, 3, loss=squared_hinge, strengths=[0.1], iterations=1000)
    scale = features.std(axis=0)

    def objective(weight, bias):
        margins = features @ weight.T + bias
        signs = np.where(np.eye(3)[targets] > 0, 1, -1)
        return 0.5 * ((weight * scale) ** 2).sum() + 0.1 * (np.maximum(0, 1 - signs * margins) ** 2).sum()

    best = objective(head.weight, head.bias)
    generator = np.random.default_rng(0)
    for size in (0.003, 0.03, 0.3):
        for _ in range(20):
            moved = head.weight + size * generator.normal(size=head.weight.shape) / scale
            assert objective(moved, head.bias) >= best * (1 - 1e-4)


@pytest.mark.parametrize("loss", [squared_hinge, binary_cross_entropy])
def test_what_is_unknown_of_a_label_is_as_if_that_image_were_not_there(loss):
    features, targets = data(2, count=200)
    several = np.stack([targets, 1 - targets], axis=1).astype(np.float32)
    several[::3, 0] = np.nan
    (head,) = fit_path(features, several, 2, loss=loss, strengths=[0.1], iterations=1000)
    for number in (0, 1):
        known = (~np.isnan(several[:, number])).astype(np.float32)
        one = np.nan_to_num(several[:, [number]])
        (alone,) = fit_path(features, one, 1, loss=loss, strengths=[0.1], iterations=1000, weights=known)
        np.testing.assert_allclose(head.logits(features)[:, number], alone.logits(features)[:, 0], atol=0.01)


def test_path_is_ordered_and_the_choice_is_the_lowest_loss_at_its_best_temperature():
    features, targets = data()
    heads = fit_path(features[:200], targets[:200], 4, strengths=[1.0, 0.001, 0.1])
    assert [head.strength for head in heads] == [0.001, 0.1, 1.0]
    factors = np.exp(np.linspace(-6, 6, 601))
    scores = [
        min(log_loss_of(targets[200:], factor * head.logits(features[200:])) for factor in factors) for head in heads
    ]
    assert choose(heads, features[200:], targets[200:]) is heads[int(np.argmin(scores))]


def log_loss_of(targets, logits):
    return cross_entropy(targets, softmax(logits, axis=1))


def test_how_sure_a_head_is_does_not_decide_and_equals_go_to_the_weakest():
    features, targets = data()
    (head,) = fit_path(features[:200], targets[:200], 4, strengths=[0.01])
    louder = LinearHead(20 * head.weight, 20 * head.bias, 7.0)
    assert choose([louder, head], features[200:], targets[200:]) is head


def test_after_the_deadline_no_further_head_is_begun():
    features, targets = data()
    (head,) = fit_path(features, targets, 4, deadline=time.monotonic() - 1)
    assert np.isfinite(head.weight).all()


@settings(max_examples=10, deadline=None)
@given(scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_answers_do_not_depend_on_the_units_of_the_features(scale, shift):
    features, targets = data(3, count=120)
    (plain,) = fit_path(features, targets, 3, strengths=[0.1])
    (moved,) = fit_path((features * scale + shift).astype(np.float32), targets, 3, strengths=[0.1])
    agreement = plain.logits(features).argmax(axis=1) == moved.logits(
        (features * scale + shift).astype(np.float32)
    ).argmax(axis=1)
    assert agreement.mean() > 0.97


def test_constant_features_do_no_harm():
    features, targets = data(3)
    features[:, 5] = 2.0
    (head,) = fit_path(features, targets, 3, strengths=[1.0])
    assert np.isfinite(head.weight).all()
    assert np.isfinite(head.bias).all()
