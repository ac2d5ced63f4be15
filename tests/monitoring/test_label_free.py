"""Accuracy without labels: intervals hold the truth as often as they say where the supposition holds."""

import numpy as np
import pytest

from linnaea.statistics.label_free import (
    Judged,
    difference_of_confidence,
    estimates,
    mean_confidence,
    thresholded_confidence,
)

REPETITIONS = 200
METHODS = {
    "mean_confidence": lambda _, confidence: mean_confidence(confidence),
    "difference_of_confidence": difference_of_confidence,
    "thresholded_confidence": thresholded_confidence,
}
LEAST, MOST = 0.90, 0.995  # 200 intervals of 95 % lie beyond either less than once in a hundred times


def answered(random: np.random.Generator, shape: tuple[float, float], n: int, off: float = 0.0) -> tuple:
    """The confidence of n answers, off by so much, and whether they are right."""
    chance = random.beta(*shape, n)
    return np.clip(chance + off, 0, 1), random.random(n) < chance


def held(estimate, truth: float) -> bool:
    return estimate.lo <= truth <= estimate.hi


def coverage(name: str, known: tuple, new: tuple, off: float = 0.0) -> float:
    random, truth = np.random.default_rng(0), new[0] / sum(new)
    count = 0
    for _ in range(REPETITIONS):
        reference = Judged(*answered(random, known, 300, off))
        confidence, _ = answered(random, new, 200, off)
        count += held(METHODS[name](reference, confidence), truth)
    return count / REPETITIONS


@pytest.mark.parametrize("name", ["mean_confidence", "difference_of_confidence", "thresholded_confidence"])
def test_intervals_hold_the_accuracy_where_nothing_changed(name):
    assert LEAST <= coverage(name, (8, 1), (8, 1)) <= MOST


@pytest.mark.parametrize("name", ["mean_confidence", "difference_of_confidence"])
def test_they_hold_it_where_images_are_harder_and_confidence_knows(name):
    assert LEAST <= coverage(name, (8, 1), (4, 1)) <= MOST


def test_only_a_difference_bears_confidence_that_is_off_by_as_much_everywhere():
    assert coverage("difference_of_confidence", (8, 2), (6, 2), off=-0.1) >= LEAST
    assert coverage("mean_confidence", (8, 2), (6, 2), off=-0.1) < 0.1


def test_thresholds_hold_it_where_right_and_wrong_are_told_apart():
    random = np.random.default_rng(1)
    count = 0
    for seed in range(REPETITIONS):
        known, new = random.random(300), random.random(200) ** 1.5
        reference = Judged(known, known > 0.2)
        count += held(thresholded_confidence(reference, new, seed=seed), 1 - 0.2 ** (1 / 1.5))
    assert count / REPETITIONS >= LEAST


def test_sure_mistakes_are_seen_by_none():
    random = np.random.default_rng(2)
    reference = Judged(*answered(random, (8, 1), 500))
    confidence, right = answered(random, (8, 1), 500)
    right[:250] = False  # of a class that the classifier has never met, and is sure about
    for estimate in estimates(reference, confidence).values():
        assert estimate.lo > right.mean()


def test_figures_can_be_counted_by_hand():
    reference = Judged(np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, True, True]))
    confidence = np.array([0.1, 0.15, 0.5, 0.7])
    assert mean_confidence(confidence).value == pytest.approx(0.3625)
    assert difference_of_confidence(reference, confidence).value == pytest.approx(0.6125)
    assert thresholded_confidence(reference, confidence).value == pytest.approx(0.5)  # one of four lies up to 0.2


def test_equal_confidences_share_the_threshold():
    reference = Judged(np.full(10, 0.9), np.arange(10) >= 3)
    assert thresholded_confidence(reference, np.full(50, 0.9)).value == pytest.approx(0.7)


def test_a_perfect_reference_leaves_room_for_what_was_not_seen():
    found = thresholded_confidence(Judged(np.full(30, 0.99), np.ones(30, dtype=bool)), np.full(1000, 0.99))
    assert found.value == 1
    assert found.lo == pytest.approx(1 - 0.122, abs=0.01)  # Wilson, 30 of 30, by Student's t


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_images_have_no_estimate(n):
    reference = Judged(np.full(30, 0.9), np.ones(30, dtype=bool))
    assert all(one.value is None for one in estimates(reference, np.full(n, 0.5)).values())
    assert difference_of_confidence(Judged(np.full(n, 0.9), np.ones(n, dtype=bool)), np.full(9, 0.5)).value is None
