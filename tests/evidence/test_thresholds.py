"""Thresholds for an aim: against scikit-learn's curves, by simulation, and what cannot be had."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit
from sklearn.metrics import f1_score, precision_recall_curve, roc_curve

from linnaea.decisions import Policy, decide
from linnaea.errors import UsageError
from linnaea.evidence.aims import AIMS, MARGIN, Cuts, Goal
from linnaea.evidence.calibration import Aims
from linnaea.evidence.thresholds import fit_thresholds, require_thresholds

CLASSES = ("healthy", "sick")
LABELS = ("common", "rare", "absent")


def two_classes(n, share=0.3, separation=1.5, seed=0):
    """True probabilities (N, 2) of images of two classes, and the targets (N,)."""
    random = np.random.default_rng(seed)
    targets = (random.random(n) < share).astype(np.int64)
    evidence = random.normal(size=n) + separation * targets
    yes = expit(np.log(share / (1 - share)) + separation * evidence - separation**2 / 2)
    return np.stack([1 - yes, yes], axis=1), targets


def several_labels(n=300, seed=0):
    """Probabilities (N, 3) and targets: a common label, one with three positives, one without any."""
    random = np.random.default_rng(seed)
    targets = np.zeros((n, 3))
    targets[random.permutation(n)[: n // 3], 0] = 1
    targets[random.permutation(n)[:3], 1] = 1
    return expit(random.normal(size=(n, 3)) + 2 * targets - 1), targets


def judged(probabilities, targets, threshold):
    yes = probabilities[:, 1] >= threshold
    found, spared = yes[targets == 1].mean(), (~yes)[targets == 0].mean()
    return found, spared, targets[yes].mean() if yes.any() else np.nan


def test_cuts_are_the_curves_of_scikit_learn():
    probabilities, targets = two_classes(400)
    yes = np.round(probabilities[:, 1], 2)  # with ties
    cuts = Cuts.of(yes, targets)
    false, true, _ = roc_curve(targets, yes, drop_intermediate=False)
    assert np.allclose(cuts.recall, true)
    assert np.allclose(1 - cuts.specificity, false)
    precision, recall, _ = precision_recall_curve(targets, yes)
    assert np.allclose(cuts.precision[1:], precision[-2::-1])
    assert np.allclose(cuts.recall[1:], recall[-2::-1])
    assert np.allclose(cuts.f1, [f1_score(targets, yes >= threshold) for threshold in cuts.thresholds])


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32)), st.integers(0, 2**31))
def test_rounding_puts_no_image_on_the_other_side(scores, seed):
    truths = np.random.default_rng(seed).integers(0, 2, len(scores))
    cuts = Cuts.of(scores, truths)
    for threshold, found, mistaken in zip(cuts.thresholds, cuts.found, cuts.mistaken, strict=True):
        for moved in (1 - 0.9 * MARGIN, 1, 1 + 0.9 * MARGIN):
            yes = np.minimum(scores.astype(np.float64) * moved, 1) >= threshold
            assert (yes & (truths == 1)).sum() == found
            assert (yes & (truths == 0)).sum() == mistaken


def test_the_highest_f1_and_youden_are_those_of_the_curves_where_images_are_many():
    probabilities, targets = two_classes(20_000, share=0.1)
    false, true, _ = roc_curve(targets, probabilities[:, 1])
    precision, recall, _ = precision_recall_curve(targets, probabilities[:, 1])
    (threshold,) = fit_thresholds(probabilities, targets, "f1", classes=CLASSES).thresholds
    best = (2 * precision * recall / (precision + recall)).max()
    assert f1_score(targets, probabilities[:, 1] >= threshold) == pytest.approx(best, abs=2e-3)
    assert threshold == pytest.approx(best / 2, abs=0.08), "half of the best F1 (Lipton et al. 2014)"
    (threshold,) = fit_thresholds(probabilities, targets, "youden", classes=CLASSES).thresholds
    found, spared, _ = judged(probabilities, targets, threshold)
    assert found + spared - 1 == pytest.approx((true - false).max(), abs=2e-3)
    assert threshold == pytest.approx(0.1, abs=0.03), "the share of positives"


@pytest.mark.parametrize(("costs", "expected"), [("1:5", 1 / 6), ("1:1", 0.5), ("0:1:5:-2", 1 / 8), ("1:3:5:1", 1 / 3)])
def test_costs_give_the_threshold_of_elkan(costs, expected):
    probabilities, targets = two_classes(50_000)
    (threshold,) = fit_thresholds(probabilities, targets, f"cost={costs}", classes=CLASSES).thresholds
    assert threshold == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("aim", "place"), [("recall=0.9", 0), ("specificity=0.9", 1)])
def test_a_rate_is_reached_on_val_and_on_average_on_new_images(aim, place):
    on_val, on_new = [], []
    new = two_classes(20_000, seed=10_000)
    for seed in range(400):
        probabilities, targets = two_classes(100, seed=seed)
        (threshold,) = fit_thresholds(probabilities, targets, aim, classes=CLASSES).thresholds
        on_val.append(judged(probabilities, targets, threshold)[place])
        on_new.append(judged(*new, threshold)[place])
    assert min(on_val) >= 0.9
    assert 0.9 <= np.mean(on_new) < 0.93


def test_a_recall_costs_no_more_specificity_than_it_must():
    probabilities, targets = two_classes(2_000)
    (threshold,) = fit_thresholds(probabilities, targets, "recall=0.95", classes=CLASSES).thresholds
    found, spared, _ = judged(probabilities, targets, threshold)
    false, true, _ = roc_curve(targets, probabilities[:, 1])
    assert found >= 0.95
    assert spared == pytest.approx(1 - false[true >= 0.95].min(), abs=0.02)


def test_a_precision_is_reached_with_the_highest_recall():
    probabilities, targets = two_classes(500)
    (threshold,) = fit_thresholds(probabilities, targets, "precision=0.9", classes=CLASSES).thresholds
    found, _, precision = judged(probabilities, targets, threshold)
    others, recall, _ = precision_recall_curve(targets, probabilities[:, 1])
    assert precision >= 0.9
    assert found == recall[:-1][others[:-1] >= 0.9].max()


def test_between_classes_that_lie_apart_it_is_the_middle():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9]])
    for aim in ("youden", "f1", "recall=0.5", "precision=0.9", "specificity=0.5", "cost=1:1"):
        fitted = fit_thresholds(probabilities, np.array([0, 0, 1, 1]), aim, classes=CLASSES)
        assert fitted.thresholds == pytest.approx((0.4,)), aim
        assert fitted.aim == aim


def test_few_positives_are_helped_by_what_the_probabilities_promise():
    new, plain, mixed = two_classes(20_000, share=0.05, seed=999), [], []
    for seed in range(100):
        probabilities, targets = two_classes(200, share=0.05, seed=seed)
        if not targets.any():
            continue
        cuts = Cuts.of(probabilities[:, 1], targets)
        (threshold,) = fit_thresholds(probabilities, targets, "f1", classes=CLASSES).thresholds
        plain.append(f1_score(new[1], new[0][:, 1] >= cuts.thresholds[cuts.f1.argmax()]))
        mixed.append(f1_score(new[1], new[0][:, 1] >= threshold))
    assert np.mean(mixed) > np.mean(plain) + 0.005


def test_by_default_two_classes_have_no_threshold_and_labels_their_own():
    probabilities, targets = two_classes(100)
    assert fit_thresholds(probabilities, targets, classes=CLASSES).thresholds == ()
    fitted = fit_thresholds(*several_labels(), classes=LABELS)
    assert (len(fitted.thresholds), fitted.aim) == (3, "f1")
    assert fitted == fit_thresholds(*several_labels(), "f1", classes=LABELS)


def test_labels_with_few_positives_share_a_threshold_and_are_named():
    probabilities, targets = several_labels()
    fitted = fit_thresholds(probabilities, targets, "f1", classes=LABELS)
    assert fitted.thresholds[0] != fitted.thresholds[1] == fitted.thresholds[2]
    told = {finding.name: finding for finding in fitted.findings}
    assert told["thresholds"].severity == "info"
    assert [row["label"] for row in told["few_positives"].rows] == ["rare"]
    assert [row["label"] for row in told["no_positives"].rows] == ["absent"]
    assert told["no_positives"].severity == told["few_positives"].severity == "warning"
    assert "absent" in told["no_positives"].summary


def test_without_any_positive_one_half_remains():
    probabilities, targets = several_labels()
    fitted = fit_thresholds(probabilities, np.where(targets == 1, np.nan, targets), "f1", classes=LABELS)
    assert fitted.thresholds == (0.5, 0.5, 0.5)
    only = fit_thresholds(np.array([[0.7, 0.3]] * 4), np.zeros(4, dtype=int), "youden", classes=CLASSES)
    assert only.thresholds == (0.5,)
    assert [finding.name for finding in only.findings] == ["thresholds", "no_positives"]


def test_unknown_labels_play_no_part():
    probabilities, targets = several_labels()
    hidden = targets.copy()
    hidden[::2, 0] = np.nan
    kept = fit_thresholds(probabilities[1::2, :1], targets[1::2, :1], "recall=0.9", classes=LABELS[:1])
    assert fit_thresholds(probabilities, hidden, "recall=0.9", classes=LABELS).thresholds[0] == kept.thresholds[0]


def test_labels_gain_over_one_half():
    gains = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        shares, sizes = np.array([0.3, 0.1, 0.05, 0.03]), (600, 4_000)
        sets = []
        for n in sizes:
            targets = (random.random((n, 4)) < shares).astype(float)
            evidence = random.normal(size=(n, 4)) + 1.5 * targets
            sets.append((expit(np.log(shares / (1 - shares)) + 1.5 * evidence - 1.125), targets))
        (val, truths), (new, wanted) = sets
        policy = Policy(thresholds=fit_thresholds(val, truths, classes="abcd").thresholds)
        answers = decide("multilabel", "abcd", new, policy).labels
        named = np.array([[letter in labels for letter in "abcd"] for labels in answers])
        gains.append(f1_score(wanted, named, average="macro") - f1_score(wanted, new >= 0.5, average="macro"))
    assert np.mean(gains) > 0.05
    assert min(gains) > 0


def test_an_impossible_aim_says_what_the_best_is():
    probabilities, targets = two_classes(200, separation=0.5)
    with pytest.raises(
        UsageError, match=r"no threshold reaches precision=0\.99 for sick.*best precision.* 0\.\d+.*threshold of 0"
    ):
        fit_thresholds(probabilities, targets, "precision=0.99", classes=CLASSES)
    upside_down = np.array([[0.1, 0.9], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1])
    with pytest.raises(UsageError, match=r"specificity=0\.95"):
        fit_thresholds(*upside_down, "specificity=0.95", classes=CLASSES)
    with pytest.raises(UsageError, match="for common"):
        fit_thresholds(1 - several_labels()[0], several_labels()[1], "precision=0.9", classes=LABELS)


def test_too_few_images_for_an_aim_are_told():
    probabilities, targets = two_classes(30)
    fitted = fit_thresholds(probabilities, targets, "recall=0.99", classes=CLASSES)
    assert judged(probabilities, targets, fitted.thresholds[0])[0] == 1
    assert [finding.name for finding in fitted.findings] == ["thresholds", "few_for_aim"]


@pytest.mark.parametrize(
    ("aim", "message"),
    [
        ("recal=0.9", "unknown aim 'recal'.*Did you mean 'recall'"),
        ("recall", "needs a number, such as 'recall=0.95'"),
        ("recall=95", "carries '95'; expected a share above 0 and at most 1, such as 'recall=0.95'"),
        ("recall=nan", "a share above 0"),
        ("precision=high", "a share above 0"),
        ("f1=0.9", "takes no number"),
        ("cost=1", "two costs above 0"),
        ("cost=1:-5", "two costs above 0"),
        ("cost=1:1:5:9", "mistakes costing more"),
    ],
)
def test_aims_that_are_none_are_refused_in_words(aim, message):
    for reader in (Goal.parse, lambda text: Aims(aim=text)):
        with pytest.raises(UsageError, match=message):
            reader(aim)


def test_every_aim_can_be_asked_for_by_its_example():
    for name, aim in AIMS.items():
        assert Goal.parse(aim.example or name).aim is aim


def test_only_some_tasks_have_thresholds():
    require_thresholds("multiclass", None)
    require_thresholds("multiclass", "default")
    require_thresholds("binary", "f1")
    with pytest.raises(UsageError, match="the task is multiclass"):
        require_thresholds("multiclass", "f1")


def test_weights_stand_for_images():
    probabilities, targets = two_classes(300)
    doubled = np.concatenate([probabilities, probabilities[targets == 0]])
    truths = np.concatenate([targets, targets[targets == 0]])
    for aim in ("precision=0.8", "cost=1:2"):
        weighted = fit_thresholds(probabilities, targets, aim, classes=CLASSES, weights=(2.0, 1.0))
        assert weighted.thresholds == fit_thresholds(doubled, truths, aim, classes=CLASSES).thresholds, aim
