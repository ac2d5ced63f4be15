"""What is said of a margin is what the interval of the difference allows, in both directions."""

import numpy as np
import pytest
from scipy.special import stdtrit

from linnaea.evidence.comparison.many import compare_many
from linnaea.predictions import Predictions
from linnaea.statistics.margins import WithinMargin, within_by_error

MARGIN = 0.05


def by_interval(gain, error, freedom):
    """What the 90 % interval of a gain says of a margin."""
    half = stdtrit(freedom, 0.95) * error
    lo, hi = gain - half, gain + half
    if hi < -MARGIN or lo > MARGIN:
        return "worse by more" if hi < -MARGIN else "better by more"
    if lo > -MARGIN and hi < MARGIN:
        return "equivalent"
    return "not worse" if lo > -MARGIN else "not better" if hi < MARGIN else "undecided"


def test_verdicts_are_those_of_the_interval():
    seen = set()
    for gain in np.linspace(-0.15, 0.15, 31):
        for error in (0.005, 0.02, 0.05):
            told = within_by_error(gain, error, 40, MARGIN)
            assert told.verdict == by_interval(gain, error, 40), (gain, error)
            seen.add(told.verdict)
            assert told.swapped.verdict == by_interval(-gain, error, 40)
    assert len(seen) == 6
    assert WithinMargin(MARGIN, None, None).verdict is None


def answers(only, wrong, n):
    """Predictions of n images of which `wrong` alone are answered wrongly, from the row `only` on."""
    truth = np.arange(n) % 2
    given = truth.copy()
    given[only : only + wrong] = 1 - given[only : only + wrong]
    probabilities = np.full((n, 2), 0.1)
    probabilities[np.arange(n), given] = 0.9
    names = ("ant", "bee")
    columns = {
        "id": [str(row) for row in range(n)],
        "truth": [names[target] for target in truth],
        "probabilities": probabilities,
        "label": [names[answer] for answer in given],
        "confidence": probabilities.max(axis=1),
        "reason": ["ok"] * n,
    }
    return Predictions.from_columns(columns, names, "binary")


@pytest.mark.parametrize(
    ("best", "other", "n", "said"),
    [
        (4, 5, 1000, "other and best are equivalent: that either is worse than the other by 5 points or more is ruled"),
        (20, 120, 1000, "other is shown to be worse than best by more than 5 points"),
        (20, 70, 1000, "other is not better than best by 5 points or more (p < 0.001); that it is worse by as much is"),
        (
            8,
            9,
            60,
            "Nothing is shown of other and best within 5 points: neither that other is worse by 5 points or more",
        ),
    ],
)
def test_the_sentence_says_both_directions(best, other, n, said):
    sides = {"best": answers(0, best, n), "other": answers(best, other, n)}
    found = compare_many(sides, margin=MARGIN, replicates=40)
    assert any(line.startswith(said) for line in found.lines), found.lines
    assert found.to_json()["pairs"][0]["within"]["verdict"]
