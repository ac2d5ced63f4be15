"""Sets that follow a stream: coverage is kept where images change, as the theorem says."""

import numpy as np
import pytest
from scipy.special import softmax

from linnaea.errors import DataError, UsageError
from linnaea.evidence.conformal.online import AdaptiveSets

NAMES = tuple("abcd")


def stream(count, random, factor):
    """Probabilities, too sure by a factor, and truths."""
    logits = random.normal(size=(count, 4))
    truth = (softmax(logits, axis=1).cumsum(axis=1) < random.random((count, 1))).sum(axis=1).clip(max=3)
    return softmax(factor * logits, axis=1), truth


@pytest.mark.parametrize("mass", [False, True])
def test_coverage_comes_back_where_a_fixed_threshold_loses_it(mass):
    random = np.random.default_rng(0)
    val, truth = stream(500, random, 1.0)
    plain = AdaptiveSets(NAMES, 0.9, np.zeros(1), mass=mass).strange(val)
    sets = AdaptiveSets(NAMES, 0.9, plain[np.arange(500), truth], mass=mass)
    fixed = sets.highest
    new, truths = stream(3000, random, 3.0)  # now far too sure
    strange = sets.strange(new)[np.arange(3000), truths]
    assert (strange <= fixed).mean() < 0.85
    for probabilities, k in zip(new, truths, strict=True):
        sets.report(probabilities, NAMES[k])
    missed = sets.misses / sets.reported
    assert abs(missed - 0.1) <= (1 + sets.rate) / (sets.rate * sets.reported)
    assert abs(missed - 0.1) < 0.02


def test_where_nothing_changes_the_level_stays_about_what_was_asked():
    random = np.random.default_rng(1)
    val, truth = stream(1000, random, 1.0)
    sets = AdaptiveSets(NAMES, 0.9, 1 - val[np.arange(1000), truth], rate=0.01)
    for probabilities, k in zip(*stream(2000, random, 1.0), strict=True):
        sets.report(probabilities, NAMES[k])
    assert abs(sets.misses / 2000 - 0.1) < 0.02
    assert 0.05 < sets.missed < 0.17


def test_the_likeliest_class_always_belongs_and_all_do_when_much_was_missed():
    sets = AdaptiveSets(NAMES, 0.5, np.array([0.1, 0.2, 0.3]), rate=0.5)
    sure = np.array([[0.6, 0.2, 0.1, 0.1]])
    assert sets.sets(sure) == [["a"]]
    assert [sets.report(sure[0], "d") for _ in range(3)] == [True, True, False]  # then everything belongs
    assert sets.report(sure[0], "d")
    sets.missed = 0.0
    assert sets.sets(sure) == [["a", "b", "c", "d"]]
    sets.missed = 1.2
    assert sets.sets(sure) == [["a"]]
    assert sets.report(sure[0], "a")  # nothing belonged but for the answer


def test_what_cannot_be_is_refused():
    sets = AdaptiveSets(NAMES, 0.9, np.array([0.5]))
    with pytest.raises(UsageError, match="the truth is 'e'; expected one of a, b, c, d"):
        sets.report(np.full(4, 0.25), "e")
    with pytest.raises(DataError, match="not numbers"):
        sets.report(np.array([np.nan, 0, 0, 1]), "a")
    with pytest.raises(DataError, match="of which 1 are not numbers"):
        AdaptiveSets(NAMES, 0.9, np.array([np.nan]))
    with pytest.raises(UsageError, match="rate is 2"):
        AdaptiveSets(NAMES, 0.9, np.array([0.5]), rate=2)
