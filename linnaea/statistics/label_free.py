"""How often answers are right, estimated without labels: each estimate holds where its own supposition does.

They compare what a classifier says of new images with what it said of labelled ones, the reference. None of them can
see an error that the classifier is sure of: where images of a new class, or a new meaning of the classes, are answered
with confidence, all are too high.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from linnaea.arrays import Flags, Floats
from linnaea.finding import Estimate
from linnaea.statistics.shares import wilson

RESAMPLES = 200
FEWEST = 2
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


@dataclass(frozen=True, eq=False)
class Judged:
    """A reference: the confidence (n,) of its answers, in [0, 1], and whether each was right (n,)."""

    confidence: Floats
    right: Flags

    @property
    def sound(self) -> bool:
        """Whether there are enough images to estimate from."""
        return len(self.right) >= FEWEST


def estimates(reference: Judged, confidence: Floats, *, seed: int = 0) -> Mapping[str, Estimate]:
    """All that suppose nothing of the classes, by name, for answers of this confidence (n,)."""
    return {
        "mean_confidence": mean_confidence(confidence),
        "difference_of_confidence": difference_of_confidence(reference, confidence),
        "thresholded_confidence": thresholded_confidence(reference, confidence, seed=seed),
    }


def mean_confidence(confidence: Floats) -> Estimate:
    """The share of right answers if the confidence means what it says on these images too."""
    if len(confidence) < FEWEST:
        return _none(len(confidence))
    value, variance = float(np.mean(confidence)), float(np.var(confidence, ddof=1)) / len(confidence)
    return _estimate(value, variance, len(confidence), len(confidence), "mean calibrated confidence")


def difference_of_confidence(reference: Judged, confidence: Floats) -> Estimate:
    """The share of right answers in the reference, less what the mean confidence has fallen by (Guillory et al. 2021).

    It supposes that confidence is off by as much on these images as on those of the reference.
    """
    if len(confidence) < FEWEST or not reference.sound:
        return _none(len(confidence))
    off = reference.right - reference.confidence
    value = float(np.mean(confidence) + np.mean(off))
    variance = np.var(confidence, ddof=1) / len(confidence) + np.var(off, ddof=1) / len(off)
    return _estimate(value, float(variance), len(confidence), len(off), "difference of confidence")


def thresholded_confidence(reference: Judged, confidence: Floats, *, seed: int = 0) -> Estimate:
    """The share of answers above the confidence that as many of the reference reach as are right (Garg et al. 2022).

    It supposes that right answers and wrong ones are told apart by one confidence, here as there. The threshold is
    drawn again with the reference to see how far chance moves it.
    """
    if len(confidence) < FEWEST or not reference.sound:
        return _none(len(confidence))
    order = np.argsort(reference.confidence, kind="stable")
    known, wrong = np.asarray(reference.confidence)[order], ~np.asarray(reference.right, dtype=bool)[order]
    new = np.sort(confidence)
    drawn = np.random.default_rng(seed).multinomial(len(known), np.full(len(known), 1 / len(known)), RESAMPLES)
    values = np.array([_above(known, wrong, new, weights) for weights in drawn.astype(np.float64)])
    value = _above(known, wrong, new, np.ones(len(known)))
    variance = value * (1 - value) / len(new) + float(np.var(values, ddof=1))
    return _estimate(value, variance, len(new), len(known), "average thresholded confidence")


def _above(known: Floats, wrong: Flags, new: Floats, weights: Floats) -> float:
    """The share of the new ones (sorted) above the quantile of those known (sorted) at the share of wrong ones."""
    errors, mass = float(weights @ wrong), np.concatenate([[0.0], np.cumsum(weights)])
    if errors <= 0:
        return 1.0
    threshold = known[min(int(np.searchsorted(mass[1:], errors)), len(known) - 1)]
    before, upto = (mass[np.searchsorted(known, threshold, side)] for side in SIDES)
    below, upper = (np.searchsorted(new, threshold, side) for side in SIDES)
    part = (errors - before) / (upto - before)  # of those that are equal to the threshold
    return float(1 - (below + part * (upper - below)) / len(new))


def _estimate(value: float, variance: float, images: int, known: int, method: str) -> Estimate:
    """With 95 % limits: those of Wilson for as many images as have this variance, and fewer where it is not known."""
    value = float(np.clip(value, 0.0, 1.0))
    fewest = float(min(images, known))
    spread = value * (1 - value)
    worth = spread / variance if variance > 0 and spread > 0 else fewest
    lo, hi = wilson(value * worth, worth, float(stdtrit(max(fewest - 1, 1.0), 0.975)))
    return Estimate(value, float(lo), float(hi), images, f"{method}, without labels")


def _none(images: int) -> Estimate:
    return Estimate(None, None, None, images, "not defined: too few images")
