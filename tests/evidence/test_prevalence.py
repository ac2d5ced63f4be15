"""Other shares of the classes: Bayes' rule, its intervals by simulation, and corrected probabilities."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Outputs
from linnaea.errors import DataError, UsageError
from linnaea.evidence import figures
from linnaea.evidence.calibration import Aims, calibrate
from linnaea.evidence.metrics import scores_of
from linnaea.evidence.prevalence import at_prevalence, require_prevalence
from linnaea.evidence.prior import adapt
from linnaea.models import build
from linnaea.statistics.intervals import estimate
from linnaea.statistics.label_shift import estimate_prior
from linnaea.statistics.spread import Sample

NAMES = ("ppv_at_prevalence_0.02", "npv_at_prevalence_0.02")


def counted(from_logits, found, positives, spared, negatives, **more):
    """Predictions with these numbers of right answers of either kind."""
    answers = [1] * found + [0] * (positives - found) + [0] * spared + [1] * (negatives - spared)
    logits = 4.0 * np.eye(2)[answers]
    return from_logits(logits, [1] * positives + [0] * negatives, **more)


def test_values_follow_bayes_and_limits_the_paper(from_logits):
    measured = figures(counted(from_logits, 90, 100, 160, 200), replicates=40, prevalence=0.02)
    ppv, npv = (measured[name] for name in NAMES)
    assert ppv.value == pytest.approx(0.9 * 0.02 / (0.9 * 0.02 + 0.2 * 0.98))
    assert npv.value == pytest.approx(0.8 * 0.98 / (0.8 * 0.98 + 0.1 * 0.02))
    spread = np.sqrt(0.1 / (0.9 * 100) + 0.8 / (0.2 * 200))  # Mercaldo et al. 2007, formula of the logit limits
    middle = np.log(ppv.value / (1 - ppv.value))
    expected = 1 / (1 + np.exp(-(middle + 1.959964 * spread * np.array([-1, 1]))))
    assert (ppv.lo, ppv.hi) == pytest.approx(tuple(expected))
    assert (ppv.n, ppv.method) == (300, "logit, Mercaldo et al.")


def test_at_their_own_share_they_are_the_plain_ones(from_logits):
    measured = figures(counted(from_logits, 45, 50, 40, 50), replicates=40, prevalence=0.5)
    assert measured["ppv_at_prevalence_0.5"].value == pytest.approx(measured["ppv"].value)
    assert measured["npv_at_prevalence_0.5"].value == pytest.approx(measured["npv"].value)


@pytest.mark.parametrize(("found", "spared"), [(0.9, 0.8), (0.97, 0.99)])
def test_limits_cover(from_logits, found, spared):
    random, held = np.random.default_rng(0), np.zeros(2)
    truth = found * 0.02 / (found * 0.02 + (1 - spared) * 0.98), spared * 0.98 / (spared * 0.98 + (1 - found) * 0.02)
    for _ in range(200):
        right = random.binomial(60, found), random.binomial(80, spared)
        scores = scores_of(counted(from_logits, right[0], 60, right[1], 80))
        measured = estimate(at_prevalence(scores, Sample(140), 0.02), Sample(140))
        held += [measured[name].lo <= value <= measured[name].hi for name, value in zip(NAMES, truth, strict=True)]
    assert (held / 200 >= 0.93).all()


def test_no_mistake_seen_is_not_none(from_logits):
    for groups in (None, [f"patient {row // 4}" for row in range(40)]):
        more = {} if groups is None else {"group": groups}
        measured = figures(counted(from_logits, 20, 20, 20, 20, **more), replicates=100, prevalence=0.02)
        ppv, npv = (measured[name] for name in NAMES)
        assert (ppv.value, npv.value) == (1.0, 1.0)
        assert ppv.lo < 0.3
        assert 0.98 < npv.lo < 1
        assert groups is None or "over 10 groups" in ppv.method


def test_without_one_class_nothing_is_said(from_logits):
    measured = figures(counted(from_logits, 4, 5, 0, 0), replicates=40, prevalence=0.02)
    assert measured[NAMES[0]].value is None


@pytest.mark.parametrize(("task", "prevalence", "message"), [
    ("multiclass", 0.1, "the task is multiclass"), ("binary", 0.0, "a share"), ("binary", 10, "a share"),
])  # fmt: skip
def test_prevalences_that_are_none_are_refused(task, prevalence, message):
    with pytest.raises(UsageError, match=message):
        require_prevalence(task, prevalence)


def world(n, shares, seed=0, separation=1.5):
    """Logits that are right where all classes are equally frequent, and targets drawn in these shares."""
    random = np.random.default_rng(seed)
    targets = random.choice(len(shares), n, p=shares)
    evidence = random.normal(size=(n, len(shares)))
    evidence[np.arange(n), targets] += separation
    return (separation * evidence).astype(np.float32), targets


@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.02, 0.98), (0.7, 0.05, 0.25)])
def test_the_shares_are_estimated_from_unlabelled_images(shares):
    logits, _ = world(20_000, shares)
    even = np.full(len(shares), 1 / len(shares))
    assert estimate_prior(softmax(logits, axis=1), even) == pytest.approx(shares, abs=0.01)


def test_unchanged_shares_are_found_again():
    logits, _ = world(20_000, (0.6, 0.4))
    probabilities = softmax(logits, axis=1)
    prior = probabilities.mean(axis=0)
    assert estimate_prior(probabilities, prior) == pytest.approx(prior, abs=1e-4)


def calibrated(shares, n=4_000, seed=1, names=None, **aims):
    """A classifier whose features are its logits, calibrated where classes have these shares, and its val answers."""
    classes = len(shares)
    task, names = "binary" if classes == 2 else "multiclass", names or tuple("abcd"[:classes])
    model = build("majority", {"classes": classes}).eval()
    logits, targets = world(n, shares, seed)
    logits += np.log(np.array(shares, dtype=np.float32))  # right where the shares are these
    classifier = Classifier(TorchScorer(model), names, task, Recipe(8))
    outputs = Outputs(logits, logits, softmax(logits, axis=1))
    classifier = calibrate(classifier, outputs, targets, Aims(**aims))
    return classifier, answered(classifier, logits / classifier.calibrator.temperature, targets)


def answered(classifier, logits, targets):
    truth = [classifier.classes[target] for target in targets]
    columns = {"id": [str(row) for row in range(len(targets))], "truth": truth}
    return classifier.answer(Outputs(logits, logits, softmax(logits, axis=1)), columns, [None] * len(logits))


def met(classifier, given, shares, seed=7, n=20_000):
    """What the classifier, first calibrated at the shares `given`, says where classes have other shares."""
    logits, targets = world(n, shares, seed)
    logits = (logits + np.log(np.array(given, dtype=np.float32))) / classifier.calibrator.temperature
    return answered(classifier, logits + np.array(classifier.prior_shift or 0.0, dtype=np.float32), targets)


@pytest.mark.parametrize(("old", "new"), [((0.5, 0.5), (0.95, 0.05)), ((0.4, 0.3, 0.3), (0.1, 0.1, 0.8))])
def test_probabilities_and_sets_are_right_again(old, new):
    classifier, val = calibrated(old)
    adapted = adapt(classifier, dict(zip(classifier.classes, new, strict=True)), val, "stated")
    seen = [met(each, old, new) for each in (classifier, adapted)]
    before, after = (figures(predictions, replicates=40) for predictions in seen)
    shares = [predictions.scores().mean(axis=0) for predictions in seen]
    assert shares[1] == pytest.approx(new, abs=0.02)
    assert np.abs(shares[0] - new).max() > 0.05
    assert after["ece"].value < 0.02
    assert after["nll"].value < before["nll"].value
    assert after["accuracy"].value > before["accuracy"].value
    assert after["coverage"].value >= 0.89
    assert after["unsure_rate"].value == pytest.approx(0.05, abs=0.03)
    assert adapted.prior == pytest.approx(new)
    assert adapted.provenance["prior"]["how"] == "stated"


def test_classes_not_named_keep_their_proportions():
    classifier, val = calibrated((0.5, 0.3, 0.2))
    adapted = adapt(classifier, {"c": 0.5}, val, "stated")
    one, other, stated = adapted.prior
    assert stated == pytest.approx(0.5)
    assert one / other == pytest.approx(classifier.prior[0] / classifier.prior[1])


def test_a_recall_is_kept_and_a_precision_is_fitted_anew():
    for aim, name in (("recall=0.9", "sensitivity"), ("precision=0.8", "ppv")):
        classifier, val = calibrated((0.5, 0.5), aim=aim)
        adapted = adapt(classifier, {"b": 0.1}, val, "stated")
        measured = figures(met(adapted, (0.5, 0.5), (0.9, 0.1)), replicates=40)
        assert measured[name].value == pytest.approx(float(aim.partition("=")[2]), abs=0.05)
        assert adapted.policy.aim == aim


def test_there_and_back_is_the_same():
    classifier, val = calibrated((0.6, 0.4), aim="youden")
    prior = dict(zip("ab", classifier.prior, strict=True))
    there = adapt(classifier, {"b": 0.02}, val, "stated")
    moved = answered(there, val.scores("logits") + np.array(there.prior_shift), val.targets)
    back = adapt(there, prior, moved, "stated")
    assert back.prior_shift == pytest.approx((0.0, 0.0), abs=1e-6)


def test_the_shift_travels_in_bundle_and_graph(tmp_path):
    classifier, val = calibrated((0.5, 0.5))
    adapted = adapt(classifier, {"b": 0.1}, val, "stated")
    adapted.save(tmp_path / "bundle")
    loaded = load(tmp_path / "bundle")
    assert (loaded.prior, loaded.prior_shift) == (adapted.prior, adapted.prior_shift)
    features = np.zeros((1, 1), dtype=np.float32)
    plain, moved = (each.score_features(features) for each in (classifier, loaded))
    assert (moved.logits - plain.logits)[0] == pytest.approx(np.array(adapted.prior_shift))
    np.testing.assert_array_equal(moved.raw, plain.raw)


@pytest.mark.parametrize(("prior", "message"), [
    ({"z": 0.1}, "unknown class 'z'"), ({"b": 1.2}, "share of 'b' is 1.2"), ({"a": 0.5, "b": 0.1}, "sum to 0.6"),
    ({}, "sum to 0"),
])  # fmt: skip
def test_shares_that_are_none_are_refused(prior, message):
    classifier, val = calibrated((0.5, 0.5), n=100)
    with pytest.raises(UsageError, match=message):
        adapt(classifier, prior, val, "stated")


def test_what_cannot_be_adapted_says_why():
    classifier, val = calibrated((0.5, 0.5), n=100)
    with pytest.raises(UsageError, match="does not say for which class shares"):
        adapt(classifier.with_(prior=()), {"b": 0.1}, val, "stated")
    with pytest.raises(UsageError, match="the task is multilabel"):
        adapt(classifier.with_(task="multilabel"), {"b": 0.1}, val, "stated")
    with pytest.raises(DataError, match="this classifier on its own val images"):
        adapt(classifier.with_(classes=("b", "a")), {"b": 0.1}, val, "stated")


def test_thresholds_of_groups_are_for_the_shares_that_they_were_fitted_at():
    classifier, val = calibrated((0.5, 0.5))
    policy = replace(classifier.policy, group_by="site", group_thresholds=(("north", 0.4),))
    with pytest.raises(UsageError, match="train it without --fair"):
        adapt(classifier.with_(policy=policy), {"b": 0.1}, val, "stated")
