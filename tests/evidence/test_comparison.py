"""Comparison: the pairing, the test, the intervals, and a sentence that claims no more than was shown."""

import json

import numpy as np
import pytest

from linnaea.errors import DataError
from linnaea.evidence import METRICS, compare
from linnaea.evidence.metrics import Scores
from linnaea.predictions import Predictions
from linnaea.statistics.paired import bonett_price, mcnemar, sign_flips


def test_a_clear_difference_is_said_with_both_figures_and_its_interval(random_ones):
    poor, good = random_ones(1500, 3, skill=1.0), random_ones(1500, 3, skill=2.0)
    found = compare(poor, good, replicates=100)
    assert found.better == "B"
    assert found.sentence.startswith("B is more accurate than A on these 1,500 images: ")
    assert "points (95 % interval " in found.sentence
    assert "McNemar p < 0.001)." in found.sentence
    assert found.differences["accuracy"].value == pytest.approx(
        found.values["accuracy"][1] - found.values["accuracy"][0]
    )


def test_the_winner_comes_first_whatever_the_order(random_ones):
    poor, good = random_ones(800, 3, skill=1.0), random_ones(800, 3, skill=2.0)
    forward = compare(poor, good, ("old", "new"), replicates=50)
    backward = compare(good, poor, ("new", "old"), replicates=50)
    assert forward.sentence == backward.sentence
    assert forward.p_value == backward.p_value
    assert forward.differences["accuracy"].value == pytest.approx(-backward.differences["accuracy"].value)


def test_no_difference_is_not_called_equality(random_ones):
    found = compare(random_ones(90, 3), random_ones(90, 3, noise=0.2), replicates=100)
    assert found.better is None
    assert found.sentence.startswith("No difference was shown between A and B in accuracy on these 90 images: ")
    assert "could be anything from -" in found.sentence
    assert " to +" in found.sentence


def test_the_same_answers_everywhere_still_leave_room_for_a_difference(random_ones):
    found = compare(random_ones(60, 3), random_ones(60, 3), replicates=50)
    assert found.p_value == 1.0
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr", "aurc"):
        assert found.differences[name].lo < 0 < found.differences[name].hi, name


def test_two_like_classifiers_are_rarely_called_different(from_logits):
    random, called, covered = np.random.default_rng(5), 0, 0
    for seed in range(150):
        targets = random.integers(0, 3, 100)
        both = [random.normal(size=(100, 3)) + 1.5 * np.eye(3)[targets] for _ in range(2)]
        found = compare(*(from_logits(logits, targets) for logits in both), seed=seed, replicates=40)
        called += found.better is not None
        covered += found.differences["accuracy"].lo <= 0 <= found.differences["accuracy"].hi
    assert called / 150 <= 0.08
    assert covered / 150 >= 0.91


def test_differences_over_few_groups_cover(from_logits):
    random, held = np.random.default_rng(6), dict.fromkeys(("accuracy", "balanced_accuracy", "nll", "roc_auc_ovr"), 0)
    groups = [f"animal {row // 8}" for row in range(96)]
    for seed in range(60):
        targets = random.integers(0, 3, 96)
        alike = [np.repeat(random.normal(size=(12, 3)), 8, axis=0) for _ in range(2)]
        both = [random.normal(size=(96, 3)) + each + 1.5 * np.eye(3)[targets] for each in alike]
        found = compare(*(from_logits(logits, targets, group=groups) for logits in both), seed=seed).differences
        for name in held:
            held[name] += found[name].lo <= 0 <= found[name].hi
    assert all(count / 60 >= 0.87 for count in held.values()), held


def test_mcnemar_is_exact():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(2, 8) == mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)


def test_sign_flips_of_single_images_agree_with_mcnemar():
    gained = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 50)
    assert sign_flips(gained, draws=40_000) == pytest.approx(mcnemar(2, 9), abs=0.01)
    assert sign_flips(np.zeros(5)) == 1.0


def test_bonett_price_reference_value():
    lo, hi = bonett_price(1, 9, 50)
    first, second = 2 / 52, 10 / 52
    half = 1.959963984540054 * np.sqrt((first + second - (8 / 52) ** 2) / 52)
    assert (lo, hi) == pytest.approx((8 / 52 - half, 8 / 52 + half))
    assert bonett_price(0, 0, 50)[0] < 0 < bonett_price(0, 0, 50)[1]


def test_groups_are_respected_when_either_has_them(random_ones):
    groups = [f"animal {row // 20}" for row in range(200)]
    poor, good = (random_ones(200, 3, skill=skill, group=groups) for skill in (1.0, 2.0))
    found = compare(poor, good, replicates=100)
    assert found.test == "sign flips over 10 groups, 10,000 draws"
    assert "sign flips over 10 groups p " in found.sentence
    assert found.differences["accuracy"].method == "jackknife over 10 groups"
    assert compare(poor, random_ones(200, 3, skill=2.0), replicates=50).test == found.test


def test_rows_are_paired_by_id_whatever_their_order(random_ones):
    a, b = random_ones(80, 3, skill=1.0), random_ones(80, 3, skill=1.5)
    order = np.random.default_rng(0).permutation(80)
    shuffled = Predictions(b.table.take(order), b.classes, b.task)
    assert compare(a, shuffled, replicates=50) == compare(a, b, replicates=50)


def test_images_without_a_partner_are_left_out_and_counted(random_ones):
    a, b = random_ones(100, 3), random_ones(100, 3, noise=0.1)
    first = Predictions(a.table.slice(0, 90), a.classes, a.task)
    last = Predictions(b.table.slice(5), b.classes, b.task)
    found = compare(first, last, replicates=50)
    assert (found.n, found.left_out) == (85, (5, 10))
    assert "left out: 5 of A and 10 of B." in found.sentence


def test_the_order_of_classes_does_not_matter(random_ones):
    a, b = random_ones(80, 3, skill=1.0), random_ones(80, 3, unreadable=(4,))
    columns = {name: b.column(name) for name in b.table.column_names} | {
        name: b.scores(name)[:, [2, 0, 1]] for name in ("logits", "probabilities")
    }
    columns |= {name: b.table.column(name).to_numpy() for name in ("confidence", "ood_score")}
    turned = Predictions.from_columns(columns, tuple(np.array(b.classes)[[2, 0, 1]].tolist()), b.task)
    assert compare(a, turned, replicates=50) == compare(a, b, replicates=50)


def test_probabilities_are_compared_on_images_both_could_read(random_ones):
    a, b = random_ones(60, 3, unreadable=(0, 1)), random_ones(60, 3, unreadable=(1, 2, 3))
    found = compare(a, b, replicates=50)
    assert (found.differences["accuracy"].n, found.differences["nll"].n) == (60, 56)
    assert found.differences["nll"].value == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": [f"other {row}" for row in range(20)]}, "A and B have no image in common: 20 images, first 'image 0'"),
        (
            {"ids": ["image 0", *(f"image {row}" for row in range(19))]},
            r"B has 1 ids more than once \(first 'image 0'\)",
        ),
        ({"truth": ["class 2"] * 20}, r"the truth of \d+ shared images differs: 'image \d+' is 'class \d' for A"),
    ],
)
def test_what_cannot_be_paired_is_refused(change, message, random_ones):
    with pytest.raises(DataError, match=message):
        compare(random_ones(20, 3), random_ones(20, 3, **change))


def test_different_classes_are_refused(random_ones):
    with pytest.raises(DataError, match=r"A and B answer different questions: .*of which only here 'class 3'"):
        compare(random_ones(20, 3), random_ones(20, 4))


def test_nothing_to_compare_is_refused(random_ones):
    with pytest.raises(DataError, match="no images against no images"):
        compare(random_ones(0, 3), random_ones(0, 3))


def test_one_group_supports_no_verdict(random_ones):
    poor, good = (random_ones(50, 3, skill=skill, group=["g"] * 50) for skill in (0.0, 9.0))
    found = compare(poor, good, replicates=50)
    assert found.better is None
    assert found.sentence.startswith("It cannot be said whether A and B differ in accuracy")


def test_only_the_tasks_metric_is_judged_and_json_and_table_say_so(random_ones):
    found = compare(random_ones(60, 3), random_ones(60, 3, noise=1.0), replicates=50)
    note = (
        "The verdict rests on accuracy alone, the only paired test here (McNemar, exact). The intervals of the "
        "other differences are descriptive; they are not tests."
    )
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["note"] == note
    assert content["sentence"] == found.sentence
    scores = Scores.of(random_ones(60, 3))
    assert list(content["differences"]) == [name for name, metric in METRICS.items() if metric.needs(scores)]
    assert set(content["differences"]["nll"]) == {"value", "lo", "hi", "n", "method"}
    lines = str(found).splitlines()
    assert lines[:3] == [found.sentence, note, ""]
    assert lines[3].split() == ["metric", "A", "B", "B", "less", "A", "kind", "method"]
    assert len(lines) == 4 + len(found.differences)
    assert [line for line in lines if "paired test: McNemar p" in line] == [lines[4]]
    assert all("interval only" in line for line in lines[5:])
    assert content["tested"]["nll"] == "interval only"
