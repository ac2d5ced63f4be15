"""Two classifiers that answer with several labels, on the same images; and their tables."""

import json

import numpy as np
import pytest
from scipy.special import expit

from linnaea.decisions import Policy
from linnaea.errors import DataError
from linnaea.evidence import compare, figures, findings
from linnaea.evidence.metrics import LABEL_METRICS
from linnaea.predictions import Predictions

CLASSES = ("ant", "bee", "fly")


def drawn(n, *, skill=1.5, noise=0.0, seed=0, unknown=0.0, unreadable=(), rate=0.4, classes=CLASSES, **more):
    """Predictions about `n` images, better with more `skill`; the same `seed` gives the same images."""
    random = np.random.default_rng(seed)
    there = random.random((n, 3)) < rate
    hidden = random.random((n, 3)) < unknown
    logits = random.normal(size=(n, 3)) + skill * (2 * there - 1)
    logits += noise * np.random.default_rng(seed + 1000).normal(size=(n, 3))
    return predictions_from(there, hidden, logits, unreadable, classes, **more)


def predictions_from(there, hidden, logits, unreadable=(), classes=CLASSES, **more):
    order, n = [CLASSES.index(name) for name in classes], len(there)
    read = ~np.isin(np.arange(n), list(unreadable))
    logits = np.where(read[:, None], logits, np.nan)[:, order]
    probabilities = expit(logits)
    answers = [[name for name, p in zip(classes, row, strict=True) if p >= 0.5] for row in probabilities.tolist()]
    columns = {
        "id": [f"image {row}" for row in range(n)],
        "truth": [
            [CLASSES[k] for k in order if row[k] and not gone[k]] for row, gone in zip(there, hidden, strict=True)
        ],
        "unknown": [[CLASSES[k] for k in order if row[k]] for row in hidden],
        "logits": logits,
        "probabilities": probabilities,
        "label": [names if ok else None for names, ok in zip(answers, read, strict=True)],
        "confidence": np.maximum(probabilities, 1 - probabilities).min(axis=1),
        "prediction_set": [names if ok else None for names, ok in zip(answers, read, strict=True)],
        "ood_score": np.zeros(n),
        "reason": ["ok" if ok else "unreadable" for ok in read],
        "detail": [None if ok else "cut off" for ok in read],
    }
    return Predictions.from_columns(columns | more, tuple(classes), "multilabel")


def table(predictions, name, policy=None):
    return {entry.name: entry for entry in findings(predictions, policy, replicates=50)}[name]


def test_a_clear_difference_is_judged_by_map():
    found = compare(drawn(300, skill=0.5), drawn(300, skill=1.5), replicates=100)
    assert (found.metric, found.better, found.p_value, found.test) == ("map", "B", None, "none: the interval decides")
    assert found.sentence.startswith("B is better in `map` than A on these 300 images: ")
    assert list(found.differences) == list(LABEL_METRICS)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["better"] == "B"
    assert found.differences["hamming_loss"].hi < 0
    assert "there is no paired test of it" in found.note
    assert set(found.to_json()["tested"].values()) == {"interval only"}


def test_two_like_classifiers_are_rarely_called_different():
    random, called = np.random.default_rng(5), 0
    for seed in range(150):
        there, hidden = random.random((80, 3)) < 0.4, random.random((80, 3)) < 0.1
        both = [random.normal(size=(80, 3)) + (2 * there - 1) for _ in range(2)]
        pair = (predictions_from(there, hidden, logits) for logits in both)
        called += compare(*pair, seed=seed, replicates=60).better is not None
    assert called / 150 <= 0.09


def test_the_same_answers_everywhere_still_leave_room_for_a_difference():
    found = compare(drawn(60), drawn(60), replicates=50)
    assert found.better is None
    for name in ("map", "roc_auc_macro", "f1_macro", "f1_micro", "f1_samples", "hamming_loss", "subset_accuracy"):
        assert found.differences[name].lo < 0 < found.differences[name].hi, name


def test_an_image_that_one_cannot_read_is_left_out_of_the_order_of_both():
    found = compare(drawn(80, unreadable=(1, 2)), drawn(80, unreadable=(3,)), replicates=50)
    assert found.differences["map"].n == 77
    assert found.differences["map"].value == pytest.approx(0)
    assert found.differences["f1_micro"].n == 80


def test_neither_the_order_of_classes_nor_that_of_names_matters():
    a, b = drawn(80, skill=1.0, unknown=0.2), drawn(80, unknown=0.2, unreadable=(4,))
    turned = drawn(80, unknown=0.2, unreadable=(4,), classes=("fly", "ant", "bee"))
    assert turned.column("truth") != b.column("truth")
    assert compare(a, turned, replicates=50).differences["map"] == compare(a, b, replicates=50).differences["map"]


def test_other_truths_are_refused_and_so_is_other_knowledge():
    with pytest.raises(DataError, match=r"the truth of \d+ shared images differs"):
        compare(drawn(20), drawn(20, seed=1), replicates=50)
    a = predictions_from(np.zeros((1, 3), dtype=bool), np.array([[False, True, False]]), np.zeros((1, 3)))
    b = predictions_from(np.zeros((1, 3), dtype=bool), np.zeros((1, 3), dtype=bool), np.zeros((1, 3)))
    with pytest.raises(DataError, match=r"'image 0' is 'bee unknown' for A and 'none of them' for B"):
        compare(a, b, replicates=50)


def test_groups_are_drawn_whole():
    groups = [f"animal {row // 20}" for row in range(200)]
    found = compare(*(drawn(200, skill=skill, group=groups) for skill in (0.5, 1.5)), replicates=60)
    assert found.differences["map"].method == "jackknife over 10 groups"


def test_the_decision_policy_is_counted():
    there = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]], dtype=bool)
    hidden = np.zeros((5, 3), dtype=bool)
    hidden[4, 2] = True
    sets = [["ant"], ["bee", "fly"], ["ant", "bee"], None, ["ant"]]
    reasons = ["ok", "unsure", "unfamiliar", "unreadable", "ok"]
    predictions = predictions_from(there, hidden, np.zeros((5, 3)), [3], prediction_set=sets, reason=reasons)
    found = figures(predictions, replicates=50)
    assert (found["false_negative_rate"].value, found["false_negative_rate"].n) == (pytest.approx(0.5), 3)
    assert (found["mean_set_size"].value, found["mean_set_size"].n) == (1.5, 4)
    assert (found["unsure_rate"].value, found["unfamiliar_rate"].value) == (0.2, 0.2)
    assert "coverage" not in found


def test_sets_that_never_miss_leave_room_for_one_that_does():
    everything = drawn(40, prediction_set=[list(CLASSES)] * 40)
    found = figures(everything, replicates=50)["false_negative_rate"]
    assert found.value == 0 < found.hi < 0.15


def test_without_sets_or_true_labels_the_missed_share_is_not_defined():
    none = figures(drawn(20, prediction_set=[None] * 20), replicates=50)["false_negative_rate"]
    assert none.method == "not defined: no prediction sets"
    empty = figures(drawn(20, rate=0.0), replicates=50)
    assert empty["false_negative_rate"].method == "not defined: no images with a set and a true label"
    assert empty["map"].method == "not defined: no label is known to be present in some images and absent in others"


def test_the_table_of_labels_agrees_with_the_figures():
    predictions = drawn(120, unknown=0.2, unreadable=(3,))
    rows = table(predictions, "per_label", Policy(thresholds=(0.2, 0.5, 0.7))).rows
    found = figures(predictions, replicates=50)
    for name, metric in (("average_precision", "map"), ("roc_auc", "roc_auc_macro"), ("f1", "f1_macro")):
        assert np.mean([row[name] for row in rows]) == pytest.approx(found[metric].value)
    assert [row["threshold"] for row in rows] == [0.2, 0.5, 0.7]
    for row in rows:
        for name in ("average_precision", "roc_auc", "precision", "recall"):
            assert row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"]
    assert [row["threshold"] for row in table(predictions, "per_label").rows] == [None] * 3
    assert [row["threshold"] for row in table(predictions, "per_label", Policy()).rows] == [0.5] * 3


def test_labels_that_come_together_are_found_and_others_are_not():
    random = np.random.default_rng(1)
    there = random.random((300, 3)) < 0.4
    hidden = np.zeros((300, 3), dtype=bool)
    free = table(predictions_from(there, hidden, 4.0 * there - 2), "co_occurrence")
    assert free.summary.startswith("No two labels occur together more or less often than by chance")
    there[:, 2] = there[:, 0] ^ (random.random(300) < 0.1)
    hidden[:40, 0] = True
    tied = table(predictions_from(there, hidden, 4.0 * there - 2), "co_occurrence")
    first = tied.rows[0]
    known = there[40:]
    assert (first["label"], first["other"], first["n"]) == ("ant", "fly", 260)
    assert first["together"] == first["answered"] == (known[:, 0] & known[:, 2]).sum()
    expected = known[:, 0].mean() * known[:, 2].mean() * 260
    assert first["expected"] == pytest.approx(expected)
    assert first["ratio"] == first["answered_ratio"] == pytest.approx(first["together"] / expected)
    assert tied.summary.startswith("ant and fly depend most on each other: ")


def test_chance_ties_labels_as_rarely_as_is_allowed():
    random, tied = np.random.default_rng(0), 0
    for _ in range(200):
        there = random.random((60, 3)) < (0.05, 0.3, 0.6)
        found = table(predictions_from(there, np.zeros((60, 3), dtype=bool), 4.0 * there - 2), "co_occurrence")
        tied += not found.summary.startswith("No two labels")
    assert tied / 200 <= 0.05


def test_the_surest_wrong_labels_come_first():
    there = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0]], dtype=bool)
    logits = np.array([[-1.0, -3, -3], [4, -3, -3], [-3, 3, -3]])
    found = table(predictions_from(there, np.zeros((3, 3), dtype=bool), logits), "mistakes")
    assert [(row["id"], row["worst"], row["mistake"]) for row in found.rows] == [
        ("image 1", "ant", "answered although absent"),
        ("image 0", "ant", "missed"),
    ]
    assert found.rows[0]["probability"] == pytest.approx(expit(4), rel=1e-5)
    assert (found.rows[1]["truth"], found.rows[1]["label"], found.count) == (["ant"], [], 2)
    assert found.summary.startswith("2 of 3 readable images have a wrong label, 2 of 9 decisions; ")


def test_reliability_counts_every_known_decision_once():
    predictions = drawn(100, unknown=0.3, unreadable=(0, 1))
    found = table(predictions, "reliability")
    known = ~np.isnan(predictions.targets[2:])
    assert sum(row["n"] for row in found.rows) == known.sum()
    there = sum(row["share"] * row["n"] for row in found.rows)
    assert there == pytest.approx((predictions.targets[2:] == 1).sum())


def test_images_without_knowledge_are_listed_and_judged_by_nothing():
    there = np.zeros((4, 3), dtype=bool)
    there[0] = True
    hidden = np.zeros((4, 3), dtype=bool)
    hidden[3] = True
    predictions = predictions_from(there, hidden, 4.0 * there - 2)
    assert table(predictions, "nothing_known").images == ["image 3"]
    found = figures(predictions, replicates=50)
    assert (found["subset_accuracy"].value, found["subset_accuracy"].n, found["subset_accuracy"].method) == (
        1,
        3,
        "Wilson",
    )


@pytest.mark.parametrize("predictions", [drawn(0), drawn(3, unknown=1.0), drawn(3, unreadable=range(3)), drawn(1)])
def test_tables_and_figures_survive_poor_samples(predictions):
    for entry in findings(predictions, replicates=50):
        assert json.loads(json.dumps(entry.to_json(), allow_nan=False))["summary"]
    told = figures(predictions, replicates=50)
    free = ("brier_reliability", "brier_resolution")  # without bias, they may fall below 0
    assert all(figure.value is None or figure.value >= 0 for name, figure in told.items() if name not in free)
