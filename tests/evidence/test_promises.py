"""Promises: kept, missed or undecided, by the interval on images that nothing was chosen by."""

import numpy as np
import pytest
from scipy.special import logit

from linnaea.decisions import Policy, decide
from linnaea.evidence import judge, write_evaluation
from linnaea.evidence.promises import AT_LEAST, AT_MOST, Promise, findings_of
from linnaea.finding import Estimate, promises_in, undecided_in_one
from linnaea.predictions import Predictions
from linnaea.runtime.files import read_json
from linnaea.statistics.shares import limits_of_share

CLASSES = ("well", "ill")


def policy_for(aim, **more):
    return Policy(thresholds=(0.5,), aim=aim, **more)


def two_classes(found, spared, policy, **more):
    """Of `found` = (right, all) ill images and `spared` = (right, all) well ones so many are answered correctly."""
    truths = np.repeat([1, 0], [found[1], spared[1]])
    right = np.concatenate([np.arange(total) < count for count, total in (found, spared)])
    yes = np.where(truths == 1, right, ~right)
    probabilities = np.stack([np.where(yes, 0.2, 0.9), np.where(yes, 0.8, 0.1)], axis=1)
    return answered(probabilities, [CLASSES[truth] for truth in truths], policy, "binary", CLASSES, **more)


def answered(probabilities, truths, policy, task, classes, **more):
    decided = decide(task, classes, probabilities, policy)
    columns = {
        "id": [f"{row}.png" for row in range(len(truths))],
        "truth": truths,
        "logits": logit(np.clip(probabilities, 1e-6, 1 - 1e-6)),
        "probabilities": probabilities,
        "label": decided.labels,
        "confidence": decided.confidence,
        "prediction_set": decided.sets,
        "ood_score": np.zeros(len(truths)),
        "reason": ["ok"] * len(truths),
        "detail": [None] * len(truths),
    }
    return Predictions.from_columns(columns | more, classes, task)


def told(predictions, policy, name, **more):
    evaluation = judge(predictions, policy, **more)
    return next(finding for finding in evaluation.findings if finding.name == f"promise_{name}")


@pytest.mark.parametrize(
    ("found", "outcome", "said"),
    [
        (60, "missed", "Missed: the recall of ill is 60.0 % (50.2 to 69.1) of 100 images of ill, and at least 90 %"),
        (99, "kept", "Kept: the recall of ill is 99.0 % (94.6 to 99.8) of 100 images of ill, and at least 90 % was"),
        (88, "undecided", "Undecided: the recall of ill is 88.0 % (80.2 to 93.0) of 100 images of ill, and at least"),
    ],
)
def test_the_interval_decides_and_the_outcome_comes_first(found, outcome, said):
    policy = policy_for("recall=0.9")
    evaluation = judge(two_classes((found, 100), (80, 100), policy), policy)
    finding = evaluation.findings[0]
    assert (finding.name, finding.rows[0]["outcome"]) == ("promise_recall", outcome)
    assert finding.summary.startswith(said)
    assert finding.severity == ("warning" if outcome == "missed" else "info")
    assert str(evaluation).startswith(said)
    own = evaluation.figures["sensitivity"]
    assert (finding.figure.value, finding.figure.lo, finding.figure.n) == (own.value, own.lo, own.n)


def test_what_is_undecided_says_how_many_images_would_decide_it():
    policy = policy_for("recall=0.9")
    finding = told(two_classes((88, 100), (80, 100), policy), policy, "recall")
    assert finding.summary.endswith("; should it stay there, about 870 images of ill would decide it.")
    assert finding.rows[0]["images_to_decide"] == 870
    finding = told(two_classes((90, 100), (80, 100), policy), policy, "recall")
    assert finding.summary.endswith("; no realistic number of images would decide it.")


@pytest.mark.parametrize(("true", "most"), [(0.8, 0.03), (0.9, 0.06), (0.97, 0.03)])
def test_promises_are_wrongly_called_as_rarely_as_the_intervals_say(true, most):
    found = np.random.default_rng(0).binomial(200, true, 2000)
    outcomes = [
        Promise("", ("", ""), AT_LEAST, 0.9, Estimate(count / 200, *limits_of_share(count, 200), 200, "")).outcome
        for count in found.tolist()
    ]
    shares = {name: outcomes.count(name) / len(outcomes) for name in ("kept", "missed")}
    wrong = shares["missed"] * (true >= 0.9) + shares["kept"] * (true <= 0.9)
    assert wrong <= most
    assert true == 0.9 or shares["missed" if true < 0.9 else "kept"] > 0.8


def test_precision_and_specificity_are_told_in_their_own_terms():
    policy = policy_for("precision=0.9")
    finding = told(two_classes((30, 40), (35, 50), policy), policy, "precision")
    assert finding.summary.startswith("Missed: the precision of the answer ill is 66.7 %")
    assert "of 45 images answered ill" in finding.summary
    policy = policy_for("specificity=0.6")
    finding = told(two_classes((30, 40), (49, 50), policy), policy, "specificity")
    assert finding.summary.startswith("Kept: the specificity for ill is 98.0 %")
    assert "of 50 images of well" in finding.summary


def test_costs_promise_to_beat_the_cheapest_answer_that_is_always_the_same():
    policy = policy_for("cost=1:5")
    finding = told(two_classes((95, 100), (170, 200), policy), policy, "cost")
    cost = (5 * 5 + 30 * 1) / 300
    assert finding.figure.value == pytest.approx(200 / 300 - cost)
    assert finding.summary.startswith("Kept: the saving per image at cost=1:5 over always answering “ill” is 0.483")
    finding = told(two_classes((50, 100), (190, 200), policy), policy, "cost")
    assert finding.rows[0]["outcome"] == "missed"
    always = told(two_classes((100, 100), (0, 200), policy), policy, "cost")
    assert (always.figure.value, always.rows[0]["outcome"]) == (0.0, "undecided")


def test_a_dear_mistake_that_was_not_seen_yet_is_not_taken_for_impossible():
    policy = policy_for("cost=1:50")
    finding = told(two_classes((30, 30), (28, 30), policy), policy, "cost")
    assert finding.figure.value > 0
    assert (finding.rows[0]["outcome"], finding.figure.lo < 0) == ("undecided", True)


def test_groups_make_the_interval_wider_and_the_outcome_more_careful():
    policy = policy_for("recall=0.9")
    alone = told(two_classes((160, 200), (50, 50), policy), policy, "recall")
    groups = [f"patient {row // 40}" for row in range(250)]
    together = told(two_classes((160, 200), (50, 50), policy, group=groups), policy, "recall")
    assert alone.rows[0]["outcome"] == "missed"
    assert together.rows[0]["outcome"] == "undecided"
    assert together.figure.hi - together.figure.lo > alone.figure.hi - alone.figure.lo


def test_sets_and_rates_are_promised_by_what_was_fitted_and_told_last():
    policy = policy_for("", n=50, coverage=0.8, unsure_rate=0.1, unfamiliar_rate=0.1, ood_threshold=2.0)
    unsure = ["unsure"] * 60 + ["ok"] * 140
    evaluation = judge(two_classes((100, 100), (100, 100), policy, reason=unsure), policy)
    first, later = promises_in(evaluation.findings)
    assert [finding.name for finding in first] == ["promise_unsure_rate"], "it was missed"
    assert [finding.name for finding in later] == ["promise_coverage", "promise_unfamiliar_rate"]
    assert first[0].summary.startswith("Missed: the share answered “unsure” is 30.0 %")
    assert later[0].summary.startswith("Kept: the share of prediction sets that hold the truth is 100.0 %")
    assert str(evaluation).splitlines()[-1] == later[1].summary


@pytest.mark.parametrize("aim", ["", "youden", "f1", "an aim of another package=0.5"])
def test_nothing_is_promised_where_no_number_was_stated(aim):
    policy = policy_for(aim)
    predictions = two_classes((90, 100), (80, 100), policy)
    assert promises_in(judge(predictions, policy).findings) == ([], [])
    assert promises_in(judge(predictions).findings) == ([], [])


def test_a_class_without_images_leaves_it_undecided():
    policy = policy_for("recall=0.9")
    finding = told(two_classes((0, 0), (50, 50), policy), policy, "recall")
    assert finding.summary == (
        "Undecided: there are no images of ill to tell the recall of ill from, and at least 90 % was promised."
    )


def test_val_shows_nothing_of_what_was_fitted_to_it(tmp_path):
    policy = policy_for("recall=0.9", n=200)
    predictions = two_classes((60, 100), (80, 100), policy)
    write_evaluation(predictions, tmp_path, "val", policy)
    write_evaluation(predictions, tmp_path, "test", policy)
    val, test = (read_json(tmp_path / "findings" / f"{name}.json")[0] for name in ("val", "test"))
    assert val["summary"].startswith("Not tested: on these images, by which it was chosen, the recall of ill is 60.0 %")
    assert (val["severity"], val["rows"][0]["outcome"]) == ("info", "not tested")
    assert (test["severity"], test["rows"][0]["outcome"]) == ("warning", "missed")


def several_labels(found, policy, n=100):
    """Images that each show every label, found in so many of them, and as many that show none and get none."""
    classes = tuple(found)
    rows = [[0.9 if row < count else 0.1 for count in found.values()] for row in range(n)]
    probabilities = np.array([*rows, *np.full((n, len(classes)), 0.1)])
    truths = [list(classes)] * n + [[]] * n
    return answered(probabilities, truths, policy, "multilabel", classes)


def test_each_of_several_labels_keeps_its_own_promise_and_the_worst_is_told():
    policy = Policy(thresholds=(0.5, 0.5, 0.5), aim="recall=0.9")
    finding = told(several_labels({"a": 99, "b": 60, "c": 88}, policy), policy, "recall")
    assert [row["outcome"] for row in finding.rows] == ["kept", "missed", "undecided"]
    assert [row["of"] for row in finding.rows] == ["a", "b", "c"]
    assert finding.summary.startswith(
        "Missed for 1 of 3 labels (undecided for 1, kept for 1), the worst: the recall of b is 60.0 %"
    )
    finding = told(several_labels({"a": 99, "b": 98, "c": 99}, policy), policy, "recall")
    assert finding.summary.startswith("Kept for all 3 labels, of which the weakest: the recall of b is 98.0 %")


def test_of_very_many_labels_some_seem_to_miss_it_by_chance():
    policy = Policy(thresholds=(0.5,) * 40, aim="recall=0.9")
    labels = {f"label {number}": 60 if number == 7 else 95 for number in range(40)}
    finding = told(several_labels(labels, policy), policy, "recall")
    assert finding.summary.endswith("Of 40 labels that just keep the promise, up to 1 seems to miss it by chance.")


def declined(count, n):
    """A promise to decline at most a twentieth, where so many of n are."""
    lo, hi = limits_of_share(count, n)
    figure = Estimate(count / n, lo, hi, n, "Wilson")
    return [Promise("share declined", ("image", "images"), AT_MOST, 0.05, figure)]


def test_promises_that_few_images_leave_open_are_told_in_one_line():
    rates = findings_of(
        {"unsure_rate": declined(2, 27), "unfamiliar_rate": declined(0, 27), "coverage": declined(20, 27)}
    )
    missed, folded = undecided_in_one(rates)
    assert missed == rates[2].summary
    assert folded.startswith(
        "Undecided on 27 images: the share declined (7.4 %, promised at most 5 %); the share declined (0.0 %, promised"
    )
    most = max(finding.rows[0]["images_to_decide"] for finding in rates[:2])
    assert folded.endswith(f"about {most:,} images would decide all of them.")
    alone = [rates[0], rates[2]]
    assert undecided_in_one(alone) == [finding.summary for finding in alone]
