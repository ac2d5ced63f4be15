"""Evidence of a yes-or-no question: against scikit-learn, and its intervals and bands by simulation."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_curve

from linnaea.decisions import Policy
from linnaea.evidence import binary, figures, findings
from linnaea.evidence.curves import FALSE_POSITIVE_RATES, RECALLS, Curve
from linnaea.evidence.metrics import METRICS, scores_of
from linnaea.evidence.uncertainty import of_metric
from linnaea.statistics.intervals import estimate
from linnaea.statistics.spread import Sample

SHARES = ("sensitivity", "specificity", "ppv", "npv")


def found_in(predictions, **more):
    scores = scores_of(predictions)
    return {finding.name: finding for finding in binary.findings(predictions, scores, **more)}


def test_figures_are_those_of_scikit_learn(random_ones):
    predictions = random_ones(300, 2)
    targets, answers = predictions.targets, predictions.answers
    measured = figures(predictions, replicates=200)
    expected = {
        "sensitivity": recall_score(targets, answers),
        "specificity": recall_score(targets, answers, pos_label=0),
        "ppv": precision_score(targets, answers),
        "npv": precision_score(targets, answers, pos_label=0),
        "average_precision": average_precision_score(targets, predictions.scores()[:, 1]),
    }
    for name, value in expected.items():
        assert measured[name].value == pytest.approx(value), name
        assert measured[name].lo < value < measured[name].hi
    assert measured["sensitivity"].n == targets.sum()
    assert measured["npv"].n == (answers == 0).sum()
    assert all(measured[name].method == "Wilson" for name in SHARES)


def test_only_two_classes_have_them(random_ones):
    assert not {*SHARES, "average_precision"} & set(figures(random_ones(60, 3), replicates=50))
    assert "roc" not in {finding.name for finding in findings(random_ones(60, 3))}
    assert {"roc", "precision_recall", "operating_points"} <= {each.name for each in findings(random_ones(60, 2))}


def test_an_unreadable_image_is_not_found_and_answers_nothing(from_logits):
    logits = np.array([[0.0, 2.0], [0.0, 2.0], [2.0, 0.0], [2.0, 0.0]])
    measured = figures(from_logits(logits, [1, 1, 0, 0], unreadable=[0, 2]), replicates=50)
    assert [measured[name].value for name in SHARES] == [0.5, 0.5, 1.0, 1.0]
    assert [measured[name].n for name in SHARES] == [2, 2, 1, 1]


def test_what_is_not_defined_says_so(from_logits):
    logits = np.array([[2.0, 0.0]] * 4)
    measured = figures(from_logits(logits, [0] * 4), replicates=50)
    for name in ("sensitivity", "ppv", "average_precision"):
        assert measured[name].value is None
        assert measured[name].method.startswith("not defined")
    assert list(found_in(from_logits(logits, [0] * 4), replicates=50)) == ["operating_points"]


def test_the_interval_of_sensitivity_covers(random_ones):
    large = random_ones(200_000, 2, seed=1)
    truth = recall_score(large.targets, large.answers)
    held = 0
    for seed in range(300):
        scores = scores_of(random_ones(80, 2, seed=100 + seed))
        statistic = of_metric(METRICS["sensitivity"], scores, Sample(80))
        sensitivity = estimate({"sensitivity": statistic}, Sample(80))["sensitivity"]
        held += sensitivity.lo <= truth <= sensitivity.hi
    assert 0.93 <= held / 300 <= 0.98


def test_groups_stay_whole(random_ones):
    groups = [f"patient {row // 10}" for row in range(200)]
    measured = figures(random_ones(200, 2, group=groups), replicates=200)
    assert measured["sensitivity"].method == "Wilson over 20 groups"
    assert "over 20 groups" in found_in(random_ones(200, 2, group=groups), replicates=100)["roc"].summary


def test_the_roc_curve_is_that_of_scikit_learn(random_ones):
    predictions = random_ones(300, 2)
    yes = predictions.scores()[:, 1]
    false, true, _ = roc_curve(predictions.targets, yes, drop_intermediate=False)
    rows = found_in(predictions, replicates=100)["roc"].rows
    assert [row["false_positive_rate"] for row in rows[:-1]] == FALSE_POSITIVE_RATES.tolist()
    for row in rows[:-1]:
        assert row["sensitivity"] == pytest.approx(true[false <= row["false_positive_rate"] + 1e-9].max())
        assert row["lo"] <= row["sensitivity"] <= row["hi"]
        if row["threshold"] is not None:
            answered = yes >= row["threshold"]
            assert answered[predictions.targets == 1].mean() == pytest.approx(row["sensitivity"])
            assert answered[predictions.targets == 0].mean() <= row["false_positive_rate"] + 1e-9


def test_the_precision_is_that_where_the_recall_is_first_reached(random_ones):
    predictions = random_ones(300, 2)
    yes, targets = predictions.scores()[:, 1], predictions.targets
    rows = found_in(predictions, replicates=100)["precision_recall"].rows
    assert [row["recall"] for row in rows[:-1]] == RECALLS.tolist()
    for row in rows[:-1]:
        answered = yes >= row["threshold"]
        assert answered[targets == 1].mean() >= row["recall"] - 1e-9
        assert targets[answered].mean() == pytest.approx(row["precision"])
        assert row["lo"] <= row["precision"] <= row["hi"]


def test_weights_count_as_copies(random_ones):
    predictions = random_ones(50, 2)
    counts = np.random.default_rng(0).integers(0, 4, 50)
    rows = np.repeat(np.arange(50), counts)
    one, copies = Curve.of(scores_of(predictions)), Curve.of(scores_of(predictions).take(rows))
    weights, ones = counts[None, :].astype(float), np.ones((1, len(rows)))
    assert np.allclose(one.sensitivities(weights), copies.sensitivities(ones))
    assert np.allclose(one.precisions(weights), copies.precisions(ones))


def test_bands_cover_at_each_point(random_ones):
    large = Curve.of(scores_of(random_ones(100_000, 2, seed=3)))
    ones = np.ones((1, 100_000))
    truth = {"roc": large.sensitivities(ones)[0], "precision_recall": large.precisions(ones)[0]}
    held = {name: np.zeros(len(values)) for name, values in truth.items()}
    for seed in range(60):
        found = found_in(random_ones(200, 2, seed=1_000 + seed), replicates=200)
        for name, values in truth.items():
            lo, hi = (np.array([row[end] for row in found[name].rows[:-1]]) for end in ("lo", "hi"))
            held[name] += (lo <= values) & (values <= hi)
    middle = (FALSE_POSITIVE_RATES >= 0.05) & (FALSE_POSITIVE_RATES <= 0.6)
    assert (held["roc"] / 60)[middle].mean() > 0.92
    assert (held["precision_recall"] / 60)[RECALLS <= 0.95].mean() > 0.92


def test_a_perfect_sample_leaves_doubt(from_logits):
    targets = np.arange(20) % 2
    logits = np.stack([1.0 - targets, targets], axis=1) * 4
    found = found_in(from_logits(logits, targets), replicates=100)
    assert all(row["sensitivity"] == 1 and row["lo"] < 0.8 for row in found["roc"].rows)
    assert all(row["precision"] == 1 and row["lo"] < 0.8 for row in found["precision_recall"].rows)


def test_the_point_in_use_is_marked(random_ones):
    predictions = random_ones(200, 2)
    policy = Policy(thresholds=(0.5,), aim="youden")
    found, measured = found_in(predictions, policy=policy, replicates=100), figures(predictions, replicates=50)
    roc, curve = found["roc"].rows[-1], found["precision_recall"].rows[-1]
    assert [row["operating_point"] for row in found["roc"].rows].count(True) == 1
    assert roc["false_positive_rate"] == pytest.approx(1 - measured["specificity"].value)
    assert (roc["sensitivity"], roc["threshold"]) == (measured["sensitivity"].value, 0.5)
    assert (curve["recall"], curve["precision"]) == (measured["sensitivity"].value, measured["ppv"].value)
    first, *others = found["operating_points"].rows
    assert (first["aim"], first["in_use"], first["sensitivity"]) == ("youden", True, measured["sensitivity"].value)
    assert "youden" not in [row["aim"] for row in others]


def test_other_aims_are_fitted_on_val_and_judged_here(random_ones):
    val, test = random_ones(400, 2, seed=1), random_ones(400, 2, seed=2)
    apart = found_in(test, tuned_on=val, replicates=100)["operating_points"]
    same = found_in(test, replicates=100)["operating_points"]
    assert "chosen on val" in apart.summary
    assert "too good" in same.summary
    rows = {row["aim"]: row for row in apart.rows}
    assert list(rows) == [
        "default", "youden", "f1", "recall=0.95", "precision=0.9", "specificity=0.95", "cost=1:5",
    ]  # fmt: skip
    for aim, row in rows.items():
        if row["threshold"] is not None and aim != "default":
            answered = test.scores()[:, 1] >= row["threshold"]
            assert row["sensitivity"] == pytest.approx(answered[test.targets == 1].mean())
            assert row["specificity"] == pytest.approx((~answered)[test.targets == 0].mean())
            assert row["sensitivity_lo"] < row["sensitivity"] < row["sensitivity_hi"]
    assert rows["recall=0.95"]["sensitivity"] > rows["default"]["sensitivity"]


def test_an_aim_out_of_reach_is_a_row_that_says_so(random_ones):
    rows = {row["aim"]: row for row in found_in(random_ones(100, 2, skill=0.0), replicates=50)["operating_points"].rows}
    assert rows["precision=0.9"]["threshold"] is None or rows["precision=0.9"]["ppv"] >= 0.9
    hopeless = random_ones(100, 2, skill=-3.0)
    rows = {row["aim"]: row for row in found_in(hopeless, replicates=50)["operating_points"].rows}
    assert rows["precision=0.9"]["threshold"] is None
    assert "the best precision" in rows["precision=0.9"]["note"]
