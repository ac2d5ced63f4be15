"""The parts of uncertainty of right and of wrong answers: whether members disagree where the answer is wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from linnaea.arrays import Flags, Floats
from linnaea.finding import Estimate, Finding
from linnaea.predictions import UNCERTAINTY, Predictions

NAME, OF_UNKNOWN = "uncertainty_parts", "unknown_uncertainty_parts"
BINS = 20
LEVEL = 0.95


def parts_found(predictions: Predictions) -> list[Finding]:
    """How many right and wrong answers have how much of each part; nothing where one model alone answered."""
    if not all(predictions.has(name) for name in UNCERTAINTY):
        return []
    values = np.array([predictions.column(name) for name in UNCERTAINTY], dtype=np.float64)
    known = predictions.readable & np.isfinite(values).all(axis=0)
    right = _right(predictions)[known]
    values = values[:, known]
    told = [_row_of(name, part, right) for name, part in zip(UNCERTAINTY, values, strict=True)]
    bins = [row for name, part in zip(UNCERTAINTY, values, strict=True) for row in _bins(name, part, right)]
    figure = told[-1]["auroc"]
    return [Finding(NAME, _in_words(told, right), count=len(right), figure=figure, rows=bins)]


def unknown_parts_found(known: Predictions, unknown: Predictions) -> list[Finding]:
    """How many known and unknown images have how much of each part; nothing where one model alone answered."""
    if not all(answers.has(name) for answers in (known, unknown) for name in UNCERTAINTY):
        return []
    rows, auroc_of = list[dict[str, Any]](), dict[str, Estimate]()
    for name in UNCERTAINTY:
        sides = [np.array(answers.column(name), dtype=np.float64) for answers in (known, unknown)]
        old, new = (values[np.isfinite(values)] for values in sides)
        values, strange = np.concatenate([old, new]), np.repeat([False, True], [len(old), len(new)])
        rows += [
            {**{key: row[key] for key in ("part", "lo", "hi")}, "known": row["right"], "unknown": row["wrong"]}
            for row in _bins(name, values, ~strange)
        ]
        auroc_of[name] = auroc(new, old)
    total, _, epistemic = (auroc_of[name] for name in UNCERTAINTY)
    words = (
        f"An unknown image has more epistemic uncertainty than a known one in a share of {epistemic} of all pairs, and "
        f"more in total in {total}."
    )
    return [Finding(OF_UNKNOWN, words, count=len(unknown), figure=epistemic, rows=rows)]


def _right(predictions: Predictions) -> Flags:
    """Whether each answer is right (N,); of several labels, whether all of those that are known are."""
    targets, answers = predictions.targets, predictions.answers
    if targets.ndim == 1:
        return np.asarray(targets == answers)
    return np.asarray(((targets == answers) | np.isnan(targets)).all(axis=1))


def _row_of(name: str, part: Floats, right: Flags) -> dict[str, Any]:
    means = [float(part[flags].mean()) if flags.any() else None for flags in (right, ~right)]
    return {"part": name, "right": means[0], "wrong": means[1], "auroc": auroc(part[~right], part[right])}


def auroc(higher: Floats, lower: Floats) -> Estimate:
    """How often one of `higher` is above one of `lower`, ties by half, with DeLong's interval (1988)."""
    images, method = len(higher) + len(lower), "DeLong"
    if not len(higher) or not len(lower):
        return Estimate(None, None, None, images, "not defined: all answers are right, or all are wrong")
    ours, theirs = _share_below(lower, higher), 1 - _share_below(higher, lower)
    value = float(ours.mean())
    if min(len(higher), len(lower)) < 2:
        return Estimate(value, None, None, images, method)
    error = np.sqrt(ours.var(ddof=1) / len(higher) + theirs.var(ddof=1) / len(lower))
    reach = float(norm.ppf(0.5 + LEVEL / 2) * error)
    return Estimate(value, max(0.0, value - reach), min(1.0, value + reach), images, method)


def _share_below(ordered: Floats, points: Floats) -> Floats:
    """The share of some numbers below each point, ties by half."""
    rising = np.sort(ordered)
    both = np.searchsorted(rising, points, "left") + np.searchsorted(rising, points, "right")
    return np.asarray(both / 2 / len(rising))


def _bins(name: str, part: Floats, right: Flags) -> list[dict[str, Any]]:
    highest = float(part.max()) if len(part) else 0.0
    edges = np.linspace(0, highest or 1.0, BINS + 1)
    counts = [np.histogram(part[flags], edges)[0] for flags in (right, ~right)]
    return [
        {"part": name, "lo": float(lo), "hi": float(hi), "right": int(own), "wrong": int(other)}
        for lo, hi, own, other in zip(edges[:-1], edges[1:], *counts, strict=True)
    ]


def _in_words(told: Sequence[dict[str, Any]], right: Flags) -> str:
    total, _, epistemic = told
    if not right.any() or right.all():
        every = "right" if right.all() else "wrong"
        return f"All {len(right)} answers are {every}: the parts of uncertainty cannot be compared."
    share = epistemic["right"] / total["right"] if total["right"] else 0.0
    lowest = epistemic["auroc"].lo
    nothing = " That is not shown to tell wrong answers from right ones." if lowest is None or lowest <= 0.5 else ""
    return (
        f"Members disagree by {epistemic['wrong']:.3f} nats where the answer is wrong and by {epistemic['right']:.3f} "
        f"where it is right: a wrong answer has more epistemic uncertainty than a right one in a share of "
        f"{epistemic['auroc']} of all pairs, and more in total in {total['auroc']}.{nothing} Of the uncertainty of "
        f"right answers {share:.0%} is epistemic, which more images could take away."
    )
