"""Prediction sets of every method: coverage by simulation, another library's sets, and what a bundle keeps of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mapie.classification import SplitConformalClassifier
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import OF_EACH_CLASS, SETS, Policy, answer, decide
from linnaea.errors import BundleError, UsageError
from linnaea.evidence.calibration import Aims, calibrate_with_findings
from linnaea.evidence.conformal import SET_METHODS, SetMaterial, require_sets
from linnaea.evidence.conformal.contract import fewest_for, highest_allowed
from linnaea.evidence.prior import adapt
from linnaea.models import build

CLASSES = 5
ASKED = 0.9
ONE = [name for name in SET_METHODS if SET_METHODS.about(name).capabilities.get("one")]


def simulated(count, random):
    """Probabilities of five classes that are hard to tell apart, some harder than others, and truths drawn by them."""
    logits = random.normal(size=(count, CLASSES)) * np.linspace(0.6, 1.8, CLASSES)
    probabilities = softmax(logits, axis=1)
    drawn = random.random((count, 1))
    return probabilities, (probabilities.cumsum(axis=1) < drawn).sum(axis=1).clip(max=CLASSES - 1)


def policy_of(name, probabilities, targets, coverage=ASKED):
    return Policy(**SET_METHODS[name](SetMaterial(probabilities, targets, coverage)), coverage=coverage)


def covered(policy, probabilities, targets):
    """Whether each set, with its answer, holds the truth (n,)."""
    held = SETS[policy.sets](probabilities, policy) | (probabilities >= probabilities.max(axis=1, keepdims=True))
    return held[np.arange(len(targets)), targets]


@pytest.fixture(scope="module")
def simulations():
    """For each method, coverage overall, by class and by likeliest class, over 100 splits of 1,000 and 2,000 images."""
    random = np.random.default_rng(0)
    rows = {name: [] for name in ONE}
    for _ in range(100):
        fit, new = simulated(1000, random), simulated(2000, random)
        likeliest = new[0].argmax(axis=1)
        for name in ONE:
            hits = covered(policy_of(name, *fit), *new)
            groups = [
                np.bincount(part, hits, CLASSES) / np.maximum(np.bincount(part, minlength=CLASSES), 1)
                for part in (new[1], likeliest)
            ]
            rows[name].append([hits.mean(), groups[0].mean(), *groups[0], *groups[1]])
    return {name: np.mean(values, axis=0) for name, values in rows.items()}


@pytest.mark.parametrize("name", ONE)
def test_sets_cover_what_was_asked_for_over_many_splits(simulations, name):
    told = simulations[name][1 if SET_METHODS.about(name).capabilities["promise"] == "class_coverage" else 0]
    assert ASKED - 0.003 < told < ASKED + 0.008


def test_only_sets_by_class_cover_every_class(simulations):
    by_class = {name: values[2 : 2 + CLASSES] for name, values in simulations.items()}
    assert by_class["class_conditional"].min() > ASKED - 0.005
    assert by_class["class_conditional"].max() < ASKED + 0.015
    assert by_class["lac"].min() < ASKED - 0.02


def test_sets_by_answer_cover_whatever_is_answered(simulations):
    by_answer = {name: values[2 + CLASSES :] for name, values in simulations.items()}
    assert by_answer["answer_conditional"].min() > ASKED - 0.005
    assert by_answer["answer_conditional"].max() < ASKED + 0.015


def test_sets_by_class_hold_with_a_hundred_images_of_each():
    random, told = np.random.default_rng(1), []
    for _ in range(200):
        probabilities, targets = simulated(1200, random)
        fit = np.concatenate([np.flatnonzero(targets == k)[:100] for k in range(CLASSES)])
        new = simulated(2000, random)
        hits = covered(policy_of("class_conditional", probabilities[fit], targets[fit]), *new)
        told.append([hits[new[1] == k].mean() for k in range(CLASSES)])
    assert np.abs(np.mean(told, axis=0) - ASKED).max() < 0.02


class Said(ClassifierMixin, BaseEstimator):
    """A classifier whose features are its probabilities."""

    def __init__(self):
        self.classes_ = np.arange(CLASSES)
        self.fitted_ = True

    def fit(self, X, y):  # noqa: N803
        return self

    def predict(self, X):  # noqa: N803
        return X.argmax(axis=1)

    def predict_proba(self, X):  # noqa: N803
        return X


class AlwaysOne(np.random.RandomState):
    """Chance that always draws the end of the interval: what is left of the paper's score is the mass above."""

    def uniform(self, low=0.0, high=1.0, size=None):
        return np.ones(size)


@pytest.mark.parametrize("name", ["lac", "aps"])
def test_sets_are_those_of_mapie(name):
    random = np.random.default_rng(2)
    fit, new = simulated(400, random), simulated(1000, random)
    theirs = SplitConformalClassifier(
        Said(), confidence_level=ASKED, conformity_score=name, prefit=True, random_state=AlwaysOne()
    )
    theirs.conformalize(*fit)
    parameters = {"conformity_score_params": {"include_last_label": True}} if name == "aps" else {}
    sets = theirs.predict_set(new[0], **parameters)[1][:, :, 0]
    policy = policy_of(name, *fit)
    ours = SETS[policy.sets](new[0], policy)
    assert (sets == ours).all(axis=1).mean() > 0.997  # ours reach further by what two runtimes may differ by


def test_regularised_sets_are_no_larger_where_many_classes_are_unlikely():
    random = np.random.default_rng(3)

    def many(count):
        logits = random.normal(size=(count, 200)) * random.uniform(0.5, 1.5, (count, 1))
        rank = random.geometric(0.4, count).clip(max=200) - 1  # mostly among the first few, however flat the rest
        return softmax(logits, axis=1), np.argsort(-logits, axis=1)[np.arange(count), rank]

    fit, new = many(2000), many(2000)
    policies = {name: policy_of(name, *fit) for name in ("aps", "raps")}
    sizes = {name: SETS[name](new[0], policy).sum(axis=1).mean() for name, policy in policies.items()}
    assert policies["raps"].set_penalty > 0
    assert sizes["raps"] < 0.8 * sizes["aps"]
    assert all(covered(policy, *new).mean() > ASKED - 0.02 for policy in policies.values())


def test_clusters_of_classes_help_those_that_are_harder():
    random = np.random.default_rng(4)
    classes = 40

    def sampled(count):
        targets = random.integers(0, classes, count)
        logits = random.normal(size=(count, classes))
        logits[np.arange(count), targets] += np.where(targets < 20, 4.0, 1.5)
        return softmax(logits, axis=1), targets

    told = {name: [] for name in ("lac", "clustered")}
    for _ in range(10):
        fit, new = sampled(4000), sampled(4000)
        for name, rows in told.items():
            hits = covered(policy_of(name, *fit), *new)
            rows.append([hits[new[1] >= 20].mean(), hits[new[1] < 20].mean()])
    hard, easy = np.mean(told["clustered"], axis=0)
    assert hard > np.mean(told["lac"], axis=0)[0] + 0.03
    assert min(hard, easy) > ASKED - 0.03


def test_the_quantile_is_the_textbooks():
    strange = np.random.default_rng(0).normal(size=57)
    rank = int(np.ceil(58 * 0.9))
    assert highest_allowed(strange, 0.9) == np.sort(strange)[rank - 1]
    assert fewest_for(0.9) == 9
    assert highest_allowed(strange[:8], 0.9) == np.inf
    assert highest_allowed(strange[:9], 0.9) == strange[:9].max()


@pytest.mark.parametrize("name", ONE)
def test_too_few_images_put_every_class_in_every_set(name):
    probabilities = softmax(np.random.default_rng(0).normal(size=(5, CLASSES)), axis=1)
    policy = policy_of(name, probabilities, np.zeros(5, dtype=int))
    absent = slice(1, None) if name == "class_conditional" else slice(None)
    assert SETS[policy.sets](probabilities, policy)[:, absent].all()


@pytest.mark.parametrize("name", ONE)
def test_the_answer_always_belongs_and_likelier_classes_with_it(name):
    random = np.random.default_rng(5)
    policy = policy_of(name, *simulated(200, random), coverage=0.2)
    probabilities = simulated(500, random)[0]
    decided = decide("multiclass", "abcde", probabilities, policy)
    for label, held, row in zip(decided.labels, decided.sets, probabilities, strict=True):
        assert label in held
        assert held == sorted(held, key=lambda one: -row["abcde".index(one)])


def calibrated(name, task="multiclass"):
    torch.manual_seed(0)
    model = build("hog", {"classes": 3, "size": 16}).eval()
    classifier = Classifier(TorchScorer(model), tuple("abc"), task, Recipe(16))
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    targets = np.arange(60) % 3
    ready, found = calibrate_with_findings(classifier, classifier.score(images), targets, Aims(sets=name))
    return ready, found, images, targets


@pytest.mark.parametrize("name", ONE)
def test_a_bundle_keeps_the_sets_and_other_shares_of_classes_their_method(name, tmp_path):
    ready, _, images, targets = calibrated(name)
    loaded = load(ready.save(tmp_path / "bundle"))
    assert loaded.policy == ready.policy
    outputs = loaded.score(images)
    sets = answer("multiclass", "abc", outputs, loaded.policy)[0].sets
    assert sets == answer("multiclass", "abc", outputs, ready.policy)[0].sets
    truth = {"id": list(map(str, range(60))), "truth": ["abc"[k] for k in targets]}
    shifted = adapt(ready, {"a": 0.7}, ready.answer(outputs, truth, [None] * 60), "stated")
    assert shifted.policy.sets == ready.policy.sets
    other = "aps" if name in OF_EACH_CLASS else "class_conditional"
    wrong = ready.with_(policy=replace(ready.policy, sets=other)).save(tmp_path / "wrong")
    with pytest.raises(BundleError, match=r"policy\.set_thresholds has . for 3 classes by"):
        load(wrong)


def test_a_class_with_too_few_images_is_named():
    ready, _, images, targets = calibrated("class_conditional")
    few = np.flatnonzero((targets != 2) | (np.arange(60) < 20))
    _, found = calibrate_with_findings(ready, ready.score(images[few]), targets[few], Aims(sets="class_conditional"))
    (told,) = (finding for finding in found if finding.name == "few_for_sets")
    assert told.severity == "warning"
    assert "c (1 of 3) belong to every prediction set: a coverage of 0.9 takes 9 val images of each" in told.summary


def test_methods_that_do_not_fit_the_task_are_refused():
    with pytest.raises(UsageError, match="sets by aps are not for several labels per image: expected one of risk"):
        require_sets("aps", several=True)
    with pytest.raises(UsageError, match="Did you mean 'lac'"):
        require_sets("lca", several=False)


def test_classes_without_a_cluster_have_the_threshold_of_all_images():
    random = np.random.default_rng(0)
    targets = np.repeat(np.arange(100), [3] * 25 + [200] * 75)  # those with few images belong to no cluster
    logits = random.normal(size=(len(targets), 100))
    logits[np.arange(len(targets)), targets] += np.where(targets < 50, 4.0, 1.5)
    shown = softmax(logits, axis=1)
    fitted, alike = policy_of("clustered", shown, targets), policy_of("lac", shown, targets)
    assert np.array(fitted.set_thresholds[:25]) == pytest.approx(alike.set_threshold, abs=1e-12)
    assert len(set(fitted.set_thresholds[25:])) > 1
