"""Which labels come together, in truth and in answers, more or less often than chance would have it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.metrics import LabelScores
from linnaea.evidence.metrics.scores import ratio
from linnaea.finding import Finding

MOST_PAIRS = 30
LEVEL = 0.05
IN_GROUPS = " This treats images as independent although they come in groups: chance alone may do more."


def co_occurrence(classes: Sequence[str], scores: LabelScores, *, grouped: bool = False) -> Finding:
    """Pairs of labels, those first whose images with both are least to be explained by chance.

    That is Fisher's exact test of independence (1935), two-sided by twice the smaller tail, on the images of which both
    labels are known. `ratio` is how many show both over how many would if one label said nothing of the other,
    `answered` and `answered_ratio` the same of the answers. The summary names a pair only where the test, corrected for
    the number of pairs (Bonferroni), has something to say; it takes images for independent, `grouped` or not.
    """
    both = _together(scores.known, scores.known)
    true, answered = (_together(flags, flags) for flags in (scores.there, scores.named))
    alone, alone_answered = (_together(flags, scores.known) for flags in (scores.there, scores.named))
    expected, expected_answered = (ratio(counts * counts.T, both) for counts in (alone, alone_answered))
    pairs = np.triu_indices(len(classes), 1)
    first, second = (numbers[_vary(both, alone)[pairs]] for numbers in pairs)
    chance = _by_chance(true[first, second], both[first, second], alone[first, second], alone[second, first])
    order = np.lexsort((-np.abs(true - expected)[first, second], chance))[:MOST_PAIRS]
    rows = [
        {
            "label": classes[a],
            "other": classes[b],
            "n": int(both[a, b]),
            "together": int(true[a, b]),
            "expected": float(expected[a, b]),
            "ratio": float(true[a, b] / expected[a, b]),
            "answered": int(answered[a, b]),
            "answered_ratio": _or_none(ratio(answered[a, b], expected_answered[a, b])),
        }
        for a, b in zip(first[order].tolist(), second[order].tolist(), strict=True)
    ]
    tied = len(rows) > 0 and chance[order[0]] < LEVEL / len(chance)
    caution = IN_GROUPS * (grouped and bool(tied))
    return Finding("co_occurrence", _summary(rows, tied=bool(tied)) + caution, count=len(scores), rows=rows)


def _vary(both: Floats, alone: Floats) -> Flags:
    """Whether each label of a pair is there in some of their images and absent in others (K, K)."""
    varies = (alone > 0) & (alone < both)
    return np.asarray(varies & varies.T)


def _by_chance(together: Floats, images: Floats, one: Floats, other: Floats) -> Floats:
    """How likely independent labels are to come together as rarely or as often; all arguments are counts (P,)."""
    from scipy.stats import hypergeom

    counts = (images, one, other)
    tails = hypergeom.cdf(together, *counts), hypergeom.sf(together - 1, *counts)
    likely: Floats = np.minimum(1.0, 2 * np.minimum(*tails))
    return likely


def _together(one: Flags, other: Flags) -> Floats:
    """In how many images a label of the one holds together with a label of the other (K, K)."""
    product: Floats = one.T.astype(np.float64) @ other.astype(np.float64)
    return product


def _summary(rows: Sequence[dict[str, Any]], *, tied: bool) -> str:
    if not rows:
        return "No two labels vary on the same images: nothing can be said about how often they occur together."
    if not tied:
        return "No two labels occur together more or less often than by chance on these images."
    first = rows[0]
    return (
        f"{first['label']} and {first['other']} depend most on each other: {first['together']:,} of {first['n']:,} "
        f"images show both, {first['ratio']:.2f} times as many as if they were independent; {first['answered']:,} were "
        "answered with both."
    )


def _or_none(value: Floats) -> float | None:
    return None if np.isnan(value) else float(value)
