"""Shares of classes without labels: intervals hold the truth where only the shares changed."""

import numpy as np
import pytest
from scipy.special import softmax

from linnaea.errors import DataError
from linnaea.statistics.label_shift import accuracy_of_shares, shares_by_confusion, shares_by_em

EVEN, SHIFTED = np.array([0.4, 0.3, 0.3]), np.array([0.7, 0.2, 0.1])
APART = 2.0
REPETITIONS = 150


def drawn(random: np.random.Generator, shares: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right where classes have the shares of `EVEN`, and the classes."""
    classes = random.choice(len(shares), n, p=shares)
    seen = APART * np.eye(len(shares))[classes] + random.normal(size=(n, len(shares)))
    return softmax(APART * seen + np.log(EVEN), axis=1), classes


@pytest.mark.parametrize("shares", [EVEN, SHIFTED])
def test_intervals_hold_the_shares(shares):
    random = np.random.default_rng(0)
    em, confusion = np.zeros(3), np.zeros(3)
    for _ in range(REPETITIONS):
        known, targets = drawn(random, EVEN, 300)
        new, _ = drawn(random, shares, 250)
        for count, found in ((em, shares_by_em(new, EVEN)), (confusion, shares_by_confusion(known, targets, new))):
            count += (found.lo <= shares) & (shares <= found.hi)
    assert (em / REPETITIONS >= 0.89).all()
    assert (confusion / REPETITIONS >= 0.89).all()
    assert (em + confusion < 2 * REPETITIONS).any()


def test_no_shift_is_seldom_called_one_and_a_large_one_always():
    random = np.random.default_rng(1)
    false, true = 0, 0
    for _ in range(100):
        known, targets = drawn(random, EVEN, 300)
        same = shares_by_confusion(known, targets, drawn(random, EVEN, 250)[0])
        other = shares_by_confusion(known, targets, drawn(random, SHIFTED, 250)[0])
        false += (same.rises | same.falls).any()
        true += other.rises.tolist() == [True, False, False] and other.falls[2]
    assert false <= 12
    assert true >= 90


def test_probabilities_that_are_not_calibrated_mislead_only_one_of_them():
    random = np.random.default_rng(2)
    known, targets = drawn(random, EVEN, 5000)
    new, _ = drawn(random, SHIFTED, 5000)
    sharper = [one**3 / (one**3).sum(axis=1, keepdims=True) for one in (known, new)]
    assert shares_by_confusion(sharper[0], targets, sharper[1]).value == pytest.approx(SHIFTED, abs=0.03)
    assert abs(shares_by_em(sharper[1], EVEN).value - SHIFTED).max() > 0.015


def test_accuracy_follows_the_shares():
    random = np.random.default_rng(3)
    held = 0
    bias = np.array([3.0, 0.0, 0.0])  # the first class is answered rather too often, the others found less often

    def answered(shares: np.ndarray, n: int) -> tuple:
        probabilities, targets = drawn(random, shares, n)
        return probabilities, targets, (np.log(probabilities) + bias).argmax(axis=1) == targets

    truth = answered(SHIFTED, 200_000)[2].mean()
    for _ in range(REPETITIONS):
        known, targets, right = answered(EVEN, 300)
        new, _, _ = answered(SHIFTED, 250)
        found, _ = accuracy_of_shares(known, targets, right, new)
        held += found.lo <= truth <= found.hi
    assert truth > answered(EVEN, 20_000)[2].mean() + 0.1
    assert 0.89 <= held / REPETITIONS < 1


def test_what_cannot_be_told_apart_is_refused():
    probabilities = np.tile([0.5, 0.5], (40, 1))
    with pytest.raises(DataError, match="cannot be told apart"):
        shares_by_confusion(probabilities, np.arange(40) % 2, probabilities)
    with pytest.raises(DataError, match="1 of 2 classes"):
        shares_by_confusion(probabilities, np.zeros(40, dtype=np.int64), probabilities)


def sure(targets: np.ndarray) -> np.ndarray:
    """Probabilities of answers that are right and beyond doubt."""
    return np.where(np.eye(2)[targets] > 0, 0.999, 0.001)


@pytest.mark.parametrize("n", [2, 4, 8])
def test_few_sure_answers_are_not_taken_for_a_shift_nor_for_certain(n):
    random, targets = np.random.default_rng(4), np.arange(40) % 2
    differs = held = 0
    for _ in range(200):
        found = shares_by_confusion(sure(targets), targets, sure(random.integers(0, 2, n)))
        differs += (found.rises | found.falls).any()
        held += found.lo[0] <= 0.5 <= found.hi[0]
    assert differs <= 12
    assert held >= 170
    accuracy, shares = accuracy_of_shares(sure(targets), targets, np.ones(40, dtype=bool), sure(np.zeros(n, dtype=int)))
    assert accuracy.lo < 0.8
    assert shares.lo[0] < 0.8
