"""Coverage of prediction sets by class and difficulty: what is too low is said, and not by chance."""

import numpy as np
import pytest
from scipy.stats import binom

from linnaea.decisions import Policy
from linnaea.evidence.evaluation import judge
from linnaea.evidence.metrics import scores_of
from linnaea.evidence.set_tables import set_findings
from linnaea.predictions import Predictions

NAMES = ("ant", "bee", "cat", "dog")
POLICY = Policy(coverage=0.9, n=400)


def said(rates, count=200, seed=0, groups=None):
    """Predictions of so many images of each class, whose sets hold the truth at these rates."""
    random = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(rates)), count)
    held = random.random(len(targets)) < np.asarray(rates)[targets]
    if groups:
        held = held[np.arange(len(held)) // groups * groups]  # alike within a group
    confidence = random.uniform(0.3, 1, len(targets))
    others = (1 - confidence) / (len(NAMES) - 1)
    answers = np.where(held, targets, (targets + 1) % len(NAMES))
    probabilities = np.where(np.arange(len(NAMES)) == answers[:, None], confidence[:, None], others[:, None])
    columns = {
        "id": list(map(str, range(len(targets)))),
        "truth": [NAMES[k] for k in targets],
        "probabilities": probabilities,
        "label": [NAMES[k] for k in answers],
        "confidence": confidence,
        "prediction_set": [[NAMES[k]] if sure > 0.5 else [NAMES[k], NAMES[k - 1]] if k else [NAMES[k], NAMES[-1]]
                           for k, sure in zip(answers, confidence, strict=True)],
        "reason": ["ok"] * len(targets),
    }  # fmt: skip
    if groups:
        columns["group"] = [str(row // groups) for row in range(len(targets))]
    return Predictions.from_columns(columns, NAMES, "multiclass")


def told(predictions, policy=POLICY):
    return {finding.name: finding for finding in set_findings(predictions, scores_of(predictions), policy)}


def test_a_class_that_is_covered_less_than_asked_is_named_with_its_interval():
    predictions = said((0.97, 0.97, 0.72, 0.97))
    found = told(predictions)["set_classes"]
    row = found.rows[2]
    assert found.severity == "warning"
    assert found.summary.startswith(
        "1 of 4 classes is covered less than the 90 % that was asked for, by more than chan"
    )
    assert f"cat, {100 * row['coverage']:.1f} %" in found.summary
    assert "--sets class_conditional asks it of each" in found.summary
    count = round(row["coverage"] * row["n"])
    assert row["p_of_less"] == pytest.approx(4 * binom.cdf(count, row["n"], 0.9), rel=0.3)
    assert row["coverage_lo"] < row["coverage"] < row["coverage_hi"] < 0.9


def test_where_every_class_is_covered_as_asked_it_is_seldom_said_otherwise():
    warned = [told(said((0.9,) * 4, 100, seed))["set_classes"].severity == "warning" for seed in range(100)]
    assert sum(warned) <= 9


def test_images_of_one_group_are_not_counted_as_so_many():
    warned = [told(said((0.9,) * 4, 100, seed, groups=10))["set_classes"].severity == "warning" for seed in range(60)]
    assert sum(warned) <= 7


def test_without_a_policy_nothing_was_asked_for():
    found = told(said((0.5, 0.9, 0.9, 0.9)), None)["set_classes"]
    assert found.severity == "info"
    assert "asked" not in found.rows[0]
    assert found.summary.startswith("The class covered least is ant, ")


def test_difficulty_and_size_are_told_by_quarters_and_sizes():
    predictions = said((0.9,) * 4)
    found = told(predictions)
    quarters = found["set_difficulty"].rows
    assert [row["images"] for row in quarters] == [
        "surest quarter",
        "second quarter",
        "third quarter",
        "least sure quarter",
    ]
    assert sum(row["n"] for row in quarters) == len(predictions)
    assert quarters[0]["mean_size"] == 1
    assert quarters[3]["mean_size"] == 2
    sizes = {row["size"]: row["n"] for row in found["set_sizes"].rows}
    single = sum(len(held) == 1 for held in predictions.column("prediction_set"))
    assert sizes == {"1": single, "2": 800 - single}


def test_sets_of_labels_are_told_by_label():
    random = np.random.default_rng(0)
    there = random.random((300, 3)) < 0.5
    held = there & (random.random((300, 3)) < (0.95, 0.95, 0.6))
    lists = [[["a", "b", "c"][k] for k in np.flatnonzero(row)] for row in held]
    columns = {
        "id": list(map(str, range(300))),
        "truth": [[["a", "b", "c"][k] for k in np.flatnonzero(row)] for row in there],
        "unknown": [[] for _ in range(300)],
        "probabilities": np.where(held, 0.8, 0.2),
        "label": lists,
        "confidence": np.full(300, 0.8),
        "prediction_set": lists,
        "reason": ["ok"] * 300,
    }
    predictions = Predictions.from_columns(columns, ("a", "b", "c"), "multilabel")
    found = told(predictions, Policy(coverage=0.9, n=100, sets="risk"))["set_classes"]
    assert found.severity == "warning"
    assert [row["p_of_less"] < 0.05 for row in found.rows] == [False, False, True]


def test_the_risk_method_promises_the_mean_over_classes_and_others_the_share_of_images():
    predictions = said((0.97, 0.97, 0.72, 0.97))
    for method, name in (("risk", "promise_class_coverage"), ("lac", "promise_coverage")):
        judged = judge(predictions, Policy(coverage=0.9, n=400, sets=method))
        names = {finding.name for finding in judged.findings if "coverage" in finding.name}
        assert names == {name}
    assert judged.figures["class_coverage"].value == pytest.approx(judged.figures["coverage"].value)  # equally many
