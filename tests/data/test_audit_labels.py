"""Wrong labels are counted and listed with what is known; labels that are all right are not accused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import softmax

from linnaea.data.audit import Inspection, audit
from linnaea.data.audit.label_noise import label_noise, worth_a_look
from linnaea.dataset import Dataset
from linnaea.learning.crossfit import cross_fit

CLASSES = 5
WIDTH = 12


def pictures(truth, apart, seed=0):
    """Features (N, 12) of images of Gaussian classes whose means lie `apart` standard deviations from their middle."""
    generator = np.random.default_rng([seed, len(truth)])
    means = np.linalg.qr(generator.normal(size=(WIDTH, WIDTH)))[0][: truth.max() + 1]
    return (apart * means[truth] + generator.normal(size=(len(truth), WIDTH))).astype(np.float32)


def judge_of(features, classes=CLASSES):
    """The judge of the audit, cross-validated on features (N, D)."""
    fitted = cross_fit(features, np.arange(len(features)) % 4)
    return lambda targets: fitted(targets, classes)


def with_errors(truth, rate, seed=0, classes=CLASSES):
    generator = np.random.default_rng([seed, 1])
    wrong = generator.random(len(truth)) < rate
    return np.where(wrong, (truth + generator.integers(1, classes, len(truth))) % classes, truth)


def inspection(targets, judge, **others):
    names = [f"class {target}" for target in targets]
    table = pa.table({"path": [f"{number:04}.png" for number in range(len(names))], "label": names})
    dataset = Dataset(table, tuple(sorted(set(names))), "multiclass", Path())
    return Inspection(dataset, np.arange(len(names)), judge=judge, **others)


def finding(inspected):
    return {entry.name: entry for entry in audit(inspected)}["label_errors"]


def truth_of(count, classes=CLASSES):
    return np.arange(count) % classes


@pytest.mark.parametrize("count", [100, 600, 3000])
@pytest.mark.parametrize("apart", [1.2, 2.2, 4.0], ids=["60 %", "80 %", "99 %"])
def test_labels_that_are_all_right_are_not_accused(count, apart):
    truth = truth_of(count)
    for seed in range(max(1, 300 // count)):
        told = finding(inspection(truth, judge_of(pictures(truth, apart, seed))))
        assert told.severity == "info"
        assert told.figure.lo < 0.05
        assert told.count <= max(1, count / 100)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_the_interval_holds_the_share_of_wrong_labels(rate):
    truth, held = truth_of(600), 0
    for seed in range(4):
        targets = with_errors(truth, rate, seed)
        found = label_noise(judge_of(pictures(truth, 4.0, seed)), targets)
        held += found.rate.lo <= (targets != truth).mean() <= found.rate.hi
        assert found.rate.hi - found.rate.lo < 0.15
        assert found.certain
    assert held == 4


@pytest.mark.parametrize("rate", [0.15, 0.35, 0.45])
def test_wrong_labels_are_listed_with_what_they_look_like_and_the_false_alarms_to_expect(rate):
    truth = truth_of(600)
    targets = with_errors(truth, rate)
    told = finding(inspection(targets, judge_of(pictures(truth, 4.0))))
    listed = np.array([int(row["path"][:4]) for row in told.rows])
    wrong = targets != truth
    assert told.severity == "warning"
    assert wrong[listed].sum() >= 0.9 * wrong.sum()
    assert wrong[listed].mean() > 0.9
    assert all(row["suggestion"] == f"class {truth[int(row['path'][:4])]}" for row in told.rows[:20])
    assert [row["score"] for row in told.rows] == sorted(row["score"] for row in told.rows)
    for words in ("to check", "(false alarms)", "of all labels seem to be wrong", "95% interval"):
        assert words in told.summary
    assert "look wrong" not in told.summary


def test_the_stated_false_alarms_are_those_that_come():
    truth, expected, came = truth_of(600), 0.0, 0
    for seed in range(4):
        targets = with_errors(truth, 0.2, seed)
        found = label_noise(judge_of(pictures(truth, 3.0, seed)), targets)
        rows = worth_a_look(found.right)
        expected, came = expected + found.right[rows].sum(), came + int((targets == truth)[rows].sum())
    assert came == pytest.approx(expected, rel=0.35)


def test_a_list_that_is_worth_less_than_half_is_cut():
    right = np.array([0.01, 0.02, *[0.9] * 100])
    assert worth_a_look(right).tolist() == [0, 1]
    assert len(worth_a_look(np.full(10, 0.9))) == 0


def test_classes_that_the_judge_cannot_tell_apart_are_not_wrongly_labelled():
    generator = np.random.default_rng(0)
    truth = np.where(np.arange(600) < 100, 2, np.arange(600) % 2)
    scores = 12.0 * np.eye(3)[truth]
    scores[100:, :2] = 6.0 + generator.normal(size=(500, 2))  # the first two look alike
    told = finding(inspection(truth, lambda _: softmax(scores, axis=1)))
    assert (told.severity, told.rows) == ("info", ())


def test_two_classes_exchanged_are_found_among_many():
    generator, truth = np.random.default_rng(0), truth_of(1500)
    exchanged = np.isin(truth, (1, 3)) & (generator.random(len(truth)) < 0.2)
    found = label_noise(judge_of(pictures(truth, 4.0)), np.where(exchanged, 4 - truth, truth))
    rows = worth_a_look(found.right)
    assert found.rate.lo <= exchanged.mean() <= found.rate.hi
    assert exchanged[rows].mean() > 0.9
    assert exchanged[rows].sum() > 0.9 * exchanged.sum()


def test_where_overlap_and_wrong_labels_look_the_same_both_are_in_the_interval():
    truth, targets = truth_of(1000), with_errors(truth_of(1000), 0.2)
    flat = np.where(np.eye(CLASSES, dtype=bool)[truth], 0.8, 0.05)
    told = finding(inspection(targets, lambda _: flat))
    assert told.figure.lo == 0
    assert told.figure.hi > 0.18
    assert told.severity == "info"


def test_no_fewer_are_found_than_by_cleanlab():
    filtering = pytest.importorskip("cleanlab.filter")
    truth = truth_of(600)
    for rate in (0.05, 0.4):
        targets, judge = with_errors(truth, rate), judge_of(pictures(truth, 2.5))
        wrong, ours = targets != truth, np.zeros(len(truth), dtype=bool)
        ours[worth_a_look(label_noise(judge, targets).right)] = True
        theirs = filtering.find_label_issues(targets, judge(targets))
        assert f1(ours, wrong) >= f1(theirs, wrong)


def f1(listed, wrong):
    return 2 * (listed & wrong).sum() / (listed.sum() + wrong.sum())


def test_a_blind_judge_accuses_nobody_and_says_that_it_is_blind():
    truth = truth_of(200)
    blind = np.random.default_rng(0).dirichlet([1] * CLASSES, 200)
    told = finding(inspection(truth, lambda _: blind))
    assert (told.severity, told.rows) == ("info", ())
    assert "could not be checked" in told.summary
    assert "sees too little. Pretrained weights see more: --weights." in told.summary
    given = finding(inspection(truth, lambda _: blind, pretrained=True)).summary
    assert "sees too little. Other pretrained weights may see more: --weights." in given


def test_labels_that_were_not_checked_are_said_to_be():
    features = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    told = finding(inspection(truth_of(200), None, features=features, unjudged="there is only one class"))
    assert (told.severity, told.summary) == ("info", "Labels were not checked: there is only one class.")
