"""Probabilities of each class in bins: calibration by classes, and the parts of the Brier score."""

from dataclasses import dataclass

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.metrics.binned import ALONE
from linnaea.evidence.metrics.gaps import folded, limits_of_many, squared
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.scores import BINS, Judged, Scores
from linnaea.statistics.spread import Sample


@dataclass(frozen=True, eq=False)
class ByClass:
    """Probabilities of each class in bins, summed up, (K, BINS) each: how many, the gaps, and how far they vary.

    Of two classes the first is left out, since it mirrors the second, which counts twice: `times`. `weight` is the
    number of images or, of several labels, of decisions that the Brier score is a mean over; `pulls` (n,) says how far
    each image moves reliability, and `errors` (n,) what it adds to the Brier score; `truths` (n,) uncertainty.
    """

    counts: Floats
    sums: Floats
    stated: Floats
    variance: Floats
    weight: float
    times: float
    images: int
    units: int
    grouped: bool
    errors: Floats
    pulls: Floats
    truths: Floats
    lack: str = ALONE

    @classmethod
    def of(cls, scores: Judged, sample: Sample) -> "ByClass":
        """Sum up the probabilities of the readable images, one class after the other."""
        several = isinstance(scores, LabelScores)
        read, unit_of, n = scores.readable, sample.unit_of, len(scores)
        classes = range(scores.classes) if several or scores.classes != 2 else range(1, 2)
        times = 1.0 if several or scores.classes != 2 else 2.0
        told, grouped = np.zeros((4, len(classes), BINS)), sample.groups is not None
        errors, pulls, truths, known_all = np.zeros(n), np.zeros(n), np.zeros(n), 0
        for row, k in enumerate(classes):
            known, true = _truth(scores, k)
            rows = np.flatnonzero(read & known)
            known_all += len(rows)
            if not len(rows):
                continue
            stated = np.asarray(scores.probabilities[rows, k], dtype=np.float64)
            off, there = stated - true[rows], true[rows].astype(np.float64)
            places = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
            counts, sums, of_stated, drawn = (
                np.bincount(places, part, BINS).astype(np.float64)
                for part in (np.ones(len(rows)), off, stated, stated * (1 - stated))
            )
            told[:, row] = counts, sums, of_stated, _variance(places, off, unit_of[rows] if grouped else None, drawn)
            mean = sums / np.maximum(counts, 1)
            errors[rows] += times * np.square(off)
            pulls[rows] += times * (2 * mean[places] * off - np.square(mean[places]))
            share = there.mean()
            truths[rows] += times * (share * (1 - share) + (1 - 2 * share) * (there - share))
        images = int((read & scores.counted).sum())
        weight = float(known_all if several else images)
        units = len(np.unique(unit_of[read & scores.counted]))
        counts, sums, of_stated, variance = told
        facts = (weight, times, images, units, grouped)
        return cls(counts, sums, of_stated, variance, *facts, errors, pulls, truths)

    def classwise(self) -> float:
        """The mean over classes of the sum of absolute gaps of each."""
        return float((np.abs(self.sums).sum(axis=1) / np.maximum(self.counts.sum(axis=1), 1)).mean())

    @property
    def _scaled(self) -> tuple[Floats, Floats]:
        """Gaps and standard errors of all bins, as they add up to `classwise`."""
        total = np.maximum(self.counts.sum(axis=1, keepdims=True), 1) * len(self.counts)
        used = self.counts > 0
        return (self.sums / total)[used], (np.sqrt(self.variance) / total)[used]

    def limits_of_classwise(self) -> tuple[float, float]:
        """Its 95 % limits by an inverted test, bins taken for independent; NaN of a single unit."""
        return limits_of_many(*self._scaled, folded) if self.units > 1 else (float("nan"), float("nan"))

    @property
    def _squared(self) -> tuple[Floats, Floats]:
        """Gaps and standard errors of all bins, whose squares add up to the reliability without correction."""
        scale, used = np.sqrt(self.times / (np.maximum(self.counts, 1) * max(self.weight, 1))), self.counts > 0
        return (self.sums * scale)[used], (np.sqrt(self.variance) * scale)[used]

    def _plain(self) -> float:
        return float(np.square(self._squared[0]).sum())

    @property
    def _bias(self) -> float:
        """What chance adds to reliability and resolution alike (Ferro and Fricker 2012)."""
        share = (self.stated - self.sums) / np.maximum(self.counts, 1)
        each = self.counts / np.maximum(self.counts - 1, 1) * share * (1 - share)
        return float(self.times * np.where(self.counts > 1, each, 0).sum() / max(self.weight, 1))

    def reliability(self) -> float:
        """The mean squared gap in bins, without bias."""
        return self._plain() - self._bias

    def limits_of_reliability(self) -> tuple[float, float]:
        """Its 95 % limits by an inverted test; NaN of a single unit."""
        return limits_of_many(*self._squared, squared) if self.units > 1 else (float("nan"), float("nan"))

    def uncertainty(self) -> float:
        """The variance of the truth, without bias."""
        images = self.counts.sum(axis=1)
        share = (self.stated - self.sums).sum(axis=1) / np.maximum(images, 1)
        variance = images * share * (1 - share) * images / np.maximum(images - 1, 1)
        return float(self.times * variance.sum() / max(self.weight, 1))

    def resolution(self) -> float:
        """Reliability and uncertainty less the Brier score."""
        return self.reliability() + self.uncertainty() - float(self.errors.sum()) / max(self.weight, 1)

    def influence_of_uncertainty(self) -> Floats:
        """How far each image moves the uncertainty (n,)."""
        return self._centred(self.truths)

    def influence_of_resolution(self) -> Floats:
        """How far each image moves the resolution (n,)."""
        return self._centred(self.truths + self.pulls - self.errors)

    def _centred(self, values: Floats) -> Floats:
        return np.asarray((values - values.mean()) / max(self.weight, 1))


def _truth(scores: Judged, k: int) -> tuple[Flags, Flags]:
    """Of which images it is known whether they show a class, and which do (n,)."""
    if isinstance(scores, LabelScores):
        return scores.known[:, k], scores.there[:, k]
    assert isinstance(scores, Scores), "with one label per image"
    return np.ones(len(scores), dtype=bool), np.asarray(scores.targets == k)


def _variance(places: Integers, off: Floats, unit_of: Integers | None, drawn: Floats) -> Floats:
    """The variance of the sum in each bin (BINS,), as between units, and not less than drawing truths gives.

    `unit_of` (m,) is None where each is a unit of its own.
    """
    unit = None if unit_of is None else np.unique(unit_of, return_inverse=True)[1]
    count = len(places) if unit is None else int(unit.max()) + 1
    if count < 2:
        return drawn
    if unit is None or count == len(unit):
        squares = np.bincount(places, np.square(off), BINS)
    else:
        keys, inverse = np.unique(unit * BINS + places, return_inverse=True)
        squares = np.bincount(keys % BINS, np.square(np.bincount(inverse, off)), BINS)
    total = np.bincount(places, off, BINS)
    return np.asarray(np.maximum((squares - np.square(total) / count) * count / (count - 1), drawn))
