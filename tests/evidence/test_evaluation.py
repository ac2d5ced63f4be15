"""Evaluation: every figure, the tables with their exact keys, and the files."""

import json
import subprocess
import sys

import numpy as np
import pytest

from linnaea.errors import DataError, RunError
from linnaea.evidence import METRICS, Evaluation, figures, findings, write_evaluation
from linnaea.finding import Finding
from linnaea.predictions import Predictions

CALIBRATION = [
    "ece_equal_mass",
    "ece_debiased",
    "mce",
    "p_calibrated",
    "ece_classwise",
    "brier_reliability",
    "brier_resolution",
    "brier_uncertainty",
]
POLICY = ["coverage", "class_coverage", "mean_set_size", "unsure_rate", "unfamiliar_rate", "answered_accuracy"]


def table(predictions, name):
    return {finding.name: finding for finding in findings(predictions)}[name]


def test_every_metric_that_applies_has_a_figure(random_ones):
    two = ["sensitivity", "specificity", "ppv", "npv", "average_precision"]
    for classes, left_out in {12: two, 3: ["top5_accuracy", *two], 2: ["top5_accuracy"]}.items():
        measured = figures(random_ones(30, classes), replicates=50)
        assert list(measured) == [name for name in METRICS if name not in left_out] + CALIBRATION + POLICY


def test_figures_repeat_with_their_seed(random_ones):
    predictions = random_ones(60, 3)
    assert figures(predictions, 1, 40) == figures(predictions, 1, 40)
    assert figures(predictions, 1, 40)["nll"] != figures(predictions, 2, 40)["nll"]
    assert figures(predictions, 1, 60) == figures(predictions, 2, 60)  # each image left out once: nothing is drawn


def test_each_figure_says_how_many_images_are_behind_it(random_ones):
    found = figures(random_ones(50, 3, unreadable=(0, 1)), replicates=50)
    assert {name: found[name].n for name in ("accuracy", "f1_macro", "nll", "aurc")} == {
        "accuracy": 50,
        "f1_macro": 50,
        "nll": 48,
        "aurc": 48,
    }


def test_the_decision_policy_is_counted(from_logits):
    sets = [["class 0"], ["class 0", "class 1"], [], ["class 1"], None]
    reasons = ["ok", "unsure", "unfamiliar", "ok", "unreadable"]
    logits = np.array([[2.0, 0], [1.0, 0], [1.0, 0], [0, 2.0], [0, 0]])
    predictions = from_logits(logits, [0, 1, 0, 0, 0], unreadable=[4], prediction_set=sets, reason=reasons)
    found = figures(predictions, replicates=50)
    assert {name: (found[name].value, found[name].n) for name in POLICY} == {
        "coverage": (0.5, 4),
        "class_coverage": (2 / 3, 4),
        "mean_set_size": (1.0, 4),
        "unsure_rate": (0.2, 5),
        "unfamiliar_rate": (0.2, 5),
        "answered_accuracy": (0.5, 2),
    }
    assert found["coverage"].method == "Wilson"


def test_without_prediction_sets_coverage_is_not_defined(random_ones):
    found = figures(random_ones(20, 3, prediction_set=[None] * 20), replicates=50)
    assert str(found["coverage"]) == "not defined"
    assert found["mean_set_size"].method == "not defined: no prediction sets"


def test_an_image_without_truth_is_refused(random_ones):
    with pytest.raises(DataError, match="no truth among the classes"):
        figures(random_ones(3, 2, truth=["class 0", None, "class 1"]))


@pytest.fixture
def small(from_logits):
    answers = np.array([0, 0, 1, 1, 0, 2, 2, 0])
    logits = 3 * np.eye(3)[answers] + np.arange(8)[:, None] * np.eye(3)[answers] / 10
    return from_logits(logits, [0, 0, 0, 1, 1, 2, 2, 2], unreadable=[7])


def test_per_class(small):
    found = table(small, "per_class")
    assert found.summary == "The weakest class is class 1: recall 50.0 %, n = 2."
    assert [row["class"] for row in found.rows] == list(small.classes)
    first = found.rows[0]
    assert list(first) == ["class", "n", *PRECISION, "recall", "recall_lo", "recall_hi", *MORE, "f1"]
    assert (first["n"], first["precision"], first["recall"], first["f1"]) == (3, 2 / 3, 2 / 3, 2 / 3)
    assert first["recall_lo"] < 2 / 3 < first["recall_hi"]


MORE = [f"recall_{times}_{end}" for times in ("twice", "four_times") for end in ("lo", "hi")]
PRECISION = ["precision", "precision_lo", "precision_hi"]


def test_a_class_without_images_or_answers_has_no_precision_or_recall(from_logits):
    rows = table(from_logits(np.eye(3)[[0, 0]], [0, 0]), "per_class").rows
    assert rows[1] == {"class": "class 1", "n": 0} | dict.fromkeys([*rows[0]][2:])


def test_a_flawless_evaluation_names_the_least_tested_class(from_logits):
    found = table(from_logits(np.eye(2)[[0, 0, 1]], [0, 0, 1]), "per_class")
    assert found.summary == "No class has a wrong answer; class 1 has the fewest, n = 1."


def test_tables_of_grouped_images_have_the_intervals_of_groups(from_logits):
    targets = np.arange(40) // 2 % 2
    logits = 2 * np.eye(2)[targets]
    logits[10:14] = -logits[10:14]
    alone, grouped = (from_logits(logits, targets, group=ids) for ids in (range(40), [row // 10 for row in range(40)]))
    for name, share in (("per_class", "recall"), ("reliability", "accuracy")):
        one, other = (table(each, name).rows[0] for each in (alone, grouped))
        assert one[share] == other[share]
        assert other[f"{share}_hi"] - other[f"{share}_lo"] > 1.3 * (one[f"{share}_hi"] - one[f"{share}_lo"])


def test_confusion(small):
    found = table(small, "confusion")
    assert {"truth": "class 2", "answer": "unreadable", "count": 1} in found.rows
    assert {"truth": "class 0", "answer": "class 1", "count": 1} in found.rows
    assert sum(row["count"] for row in found.rows) == 8
    assert all(row["count"] for row in found.rows)
    assert found.summary == "Most often class 0 was mistaken for class 1: 1 of 2 confusions."


def test_reliability_has_the_bins_that_hold_images(random_ones):
    predictions = random_ones(200, 3)
    found = table(predictions, "reliability")
    ends = ["accuracy", "accuracy_lo", "accuracy_hi", "band_lo", "band_hi"]
    assert list(found.rows[0]) == ["lo", "hi", "confidence", *ends, "n"]
    assert sum(row["n"] for row in found.rows) == 200
    assert all(row["lo"] < row["confidence"] <= row["hi"] for row in found.rows)
    gaps = sum(row["n"] / 200 * abs(row["confidence"] - row["accuracy"]) for row in found.rows)
    assert gaps == pytest.approx(figures(predictions, replicates=50)["ece"].value)


def test_mistakes_start_with_the_surest(random_ones, small):
    found = table(random_ones(300, 3, skill=0.0), "mistakes")
    confidences = [row["confidence"] for row in found.rows]
    assert len(found.rows) == 48 < found.count
    assert confidences == sorted(confidences, reverse=True)
    assert list(found.images) == [row["id"] for row in found.rows]
    row = table(small, "mistakes").rows[0]
    assert (row["id"], row["truth"], row["label"]) == ("image 4", "class 1", "class 0")
    assert list(row) == ["id", "truth", "label", "confidence", "truth_probability"]
    assert row["truth_probability"] < row["confidence"]


def test_answers_and_unreadable(small, random_ones):
    found = table(small, "answers")
    assert found.rows[0] == {"reason": "ok", "count": 7, "share": 7 / 8}
    assert [row["reason"] for row in found.rows] == ["ok", "unsure", "unfamiliar", "unreadable"]
    unreadable = table(small, "unreadable")
    assert (unreadable.severity, unreadable.rows) == ("warning", [{"id": "image 7", "detail": "cut off"}])
    assert "unreadable" not in {finding.name for finding in findings(random_ones(5, 2))}


def test_findings_of_no_images_and_of_only_unreadable_ones(random_ones):
    for predictions in (random_ones(0, 3), random_ones(3, 3, unreadable=range(3))):
        assert all(finding.summary for finding in findings(predictions))


def test_a_readable_image_without_a_label_has_no_answer(random_ones):
    rows = table(random_ones(2, 2, label=[None, "class 1"]), "confusion").rows
    assert "no answer" in {row["answer"] for row in rows}


def test_what_is_written_can_be_read_and_other_splits_stay(tmp_path, small, random_ones):
    write_evaluation(random_ones(40, 3), tmp_path, "val", replicates=50)
    evaluation = write_evaluation(small, tmp_path, "test", replicates=50)
    assert isinstance(evaluation, Evaluation)
    again = Predictions.read(tmp_path / "predictions" / "test.parquet")
    assert figures(again, replicates=50) == evaluation.figures
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == ["val", "test"]
    assert metrics["test"]["accuracy"]["method"] == "Wilson"
    assert set(metrics["val"]["nll"]) == {"value", "lo", "hi", "n", "method"}
    read = [Finding.from_json(entry) for entry in json.loads((tmp_path / "findings" / "test.json").read_text())]
    assert "unreadable" in [finding.name for finding in read]
    assert read == [Finding.from_json(finding.to_json()) for finding in evaluation.findings]


def test_a_broken_metrics_file_is_not_overwritten(tmp_path, small):
    (tmp_path / "metrics.json").write_text("{cut")
    with pytest.raises(RunError, match="not valid JSON"):
        write_evaluation(small, tmp_path, "test", replicates=50)
    assert (tmp_path / "metrics.json").read_text() == "{cut"


def test_an_evaluation_prints_as_an_aligned_table(tmp_path, small):
    lines = str(write_evaluation(small, tmp_path, "test", replicates=50)).splitlines()
    assert lines[0].startswith("accuracy ")
    assert lines[0].endswith("Wilson")
    assert len({line.index("n = ") for line in lines}) == 1


def test_evidence_imports_no_torch():
    code = "import sys, linnaea.evidence; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
