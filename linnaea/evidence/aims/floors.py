"""Aims that keep one figure at or above a given share."""

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.aims.contract import AIMS, ROUNDING, TIE, Aim, Cuts, number


def recall(cuts: Cuts, amounts: tuple[float, ...]) -> Floats:
    """The highest specificity at a recall (sensitivity) of at least so much, for new images on average.

    By the rank of a further positive among those seen (Vovk et al. 2005), as prediction sets are made; where there are
    too few positives for that, none of them is missed.
    """
    missed = cuts.positives - cuts.found
    held = missed <= _allowed(cuts.positives, cuts.weights[1], amounts[0])
    return np.where(held, cuts.specificity + TIE * cuts.recall, -np.inf)


def specificity(cuts: Cuts, amounts: tuple[float, ...]) -> Floats:
    """The highest recall (sensitivity) at a specificity of at least so much, for new images on average."""
    held = cuts.mistaken <= _allowed(cuts.negatives, cuts.weights[0], amounts[0])
    return np.where(held & (cuts.found > 0), cuts.recall + TIE * cuts.specificity, -np.inf)


def precision(cuts: Cuts, amounts: tuple[float, ...]) -> Floats:
    """The highest recall at a precision of at least so much on val (Saito and Rehmsmeier 2015)."""
    reached = np.nan_to_num(cuts.precision)
    return np.where(reached >= amounts[0] - ROUNDING, cuts.recall + TIE * reached, -np.inf)


def _allowed(total: float, one: float, least: float) -> float:
    """How many of `total` may be lost such that of one more, on average, no more than 1 - least is."""
    return max(0.0, (total + one) * (1 - least) - one) + ROUNDING


def _one_share(text: str) -> tuple[float, ...]:
    value = number(text, "a share above 0 and at most 1")
    if not 0 < value <= 1:
        raise ValueError("a share above 0 and at most 1")
    return (value,)


AIMS.register(
    "recall",
    title="Recall",
    meaning="The highest specificity at a recall (sensitivity) of at least so much, for new images on average.",
    order=40,
)(Aim(recall, _one_share, "recall=0.95", "recall"))
AIMS.register(
    "precision",
    title="Precision",
    meaning="The highest recall at a precision of at least so much on val (Saito and Rehmsmeier 2015).",
    order=50,
)(Aim(precision, _one_share, "precision=0.9", "precision"))
AIMS.register(
    "specificity",
    title="Specificity",
    meaning="The highest recall (sensitivity) at a specificity of at least so much, for new images on average.",
    order=60,
)(Aim(specificity, _one_share, "specificity=0.95", "specificity"))
