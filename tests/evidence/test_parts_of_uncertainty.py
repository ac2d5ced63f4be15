"""The parts of uncertainty of right and wrong answers, beside scikit-learn, and DeLong's interval by simulation."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from linnaea.evidence.parts_of_uncertainty import auroc, parts_found, unknown_parts_found
from linnaea.predictions import UNCERTAINTY


def with_parts(predictions, parts):
    table = predictions.table
    for name, values in zip(UNCERTAINTY, parts, strict=True):
        table = table.append_column(name, [values.tolist()])
    return predictions.with_table(table)


def test_how_often_one_is_higher_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    higher, lower = random.normal(0.5, 1, 30).round(1), random.normal(0, 1, 70).round(1)  # with ties
    found = auroc(higher, lower)
    expected = roc_auc_score(np.repeat([1, 0], [30, 70]), np.concatenate([higher, lower]))
    assert found.value == pytest.approx(expected)
    assert found.lo < found.value < found.hi


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_its_interval_holds_the_truth_as_often_as_it_says(shift):
    from scipy.stats import norm

    random, held = np.random.default_rng(0), []
    for _ in range(400):
        found = auroc(random.normal(shift, 1, 40), random.normal(0, 1, 60))
        held.append(found.lo <= norm.cdf(shift / np.sqrt(2)) <= found.hi)
    assert 0.91 <= np.mean(held) <= 0.98


def test_bins_count_every_answer_once_and_the_sentence_says_which_part_tells(random_ones):
    predictions = random_ones(200)
    right = predictions.answers == predictions.targets
    epistemic, aleatoric = np.where(right, 0.1, 0.4), np.full(200, 0.2)
    (found,) = parts_found(with_parts(predictions, [epistemic + aleatoric, aleatoric, epistemic]))
    assert found.figure.value == 1.0
    for name in UNCERTAINTY:
        rows = [row for row in found.rows if row["part"] == name]
        assert sum(row["right"] for row in rows) == right.sum()
        assert sum(row["wrong"] for row in rows) == (~right).sum()
    assert "by 0.400 nats where the answer is wrong and by 0.100 where it is right" in found.summary
    assert "not shown to tell" not in found.summary
    noise = np.random.default_rng(1).random((2, 200))
    (found,) = parts_found(with_parts(predictions, [noise.sum(axis=0), *noise]))
    assert "That is not shown to tell wrong answers from right ones." in found.summary


def test_one_model_alone_has_no_parts_and_right_answers_alone_no_comparison(random_ones):
    predictions = random_ones(50, skill=50.0)
    assert parts_found(predictions) == []
    (found,) = parts_found(with_parts(predictions, [np.full(50, 0.1)] * 3))
    assert "All 50 answers are right" in found.summary
    assert found.figure.value is None


def test_unknown_images_beside_known_ones(random_ones):
    known, unknown = random_ones(100), random_ones(40)
    low, high = np.linspace(0.0, 0.3, 100), np.linspace(0.4, 0.9, 40)
    sides = [with_parts(answers, [2 * own, own, own]) for answers, own in ((known, low), (unknown, high))]
    (found,) = unknown_parts_found(*sides)
    assert found.figure.value == 1.0
    assert found.count == 40
    for name in UNCERTAINTY:
        rows = [row for row in found.rows if row["part"] == name]
        assert (sum(row["known"] for row in rows), sum(row["unknown"] for row in rows)) == (100, 40)
    assert "more epistemic uncertainty than a known one in a share of 1.0" in found.summary
    assert unknown_parts_found(known, sides[1]) == []
