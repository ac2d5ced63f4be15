"""Decisions in bins by what was stated of them: gaps to what is true, and how far these vary by chance."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.metrics.gaps import first_of, gaps, interval_of_gaps
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.scores import BINS, Judged, Scores
from linnaea.statistics.spread import Sample

DRAWS = 1000
MOST_DRAWN = 5_000  # decisions whose truths are drawn one by one
AT_ONCE = 2**16  # truths that are drawn together
ALONE = "one image or group"


@dataclass(frozen=True, eq=False)
class Binned:
    """Decisions (m,) in bins: what was `stated`, whether it is `true`, and the number of the unit, image or group."""

    places: Integers
    stated: Floats
    true: Flags
    unit_of: Integers
    images: int
    grouped: bool
    alone: bool  # each decision is a unit of its own
    lack: str = ALONE

    @property
    def units(self) -> int:
        """How many images or groups there are."""
        return len(np.unique(self.unit_of))

    @cached_property
    def count(self) -> int:
        """How many bins hold anything."""
        return len(np.unique(self.places))

    def in_equal_mass(self) -> "Binned":
        """The same in 15 bins of equally many decisions; equal ones share a bin."""
        if not len(self.stated):
            return self
        ordered = np.sort(self.stated)
        edges = np.unique(ordered[np.arange(1, BINS) * len(ordered) // BINS])
        return replace(self, places=np.searchsorted(edges, self.stated, side="right").astype(np.int64))

    @cached_property
    def _gaps(self) -> tuple[Floats, Floats]:
        """The mean gap of each bin, as a share of all decisions (C,), and the standard error (C,)."""
        means, spread = gaps(self.places, self.stated, self.true, self.unit_of)
        return means, np.sqrt(spread.diagonal())

    def error(self) -> float:
        """The sum of absolute gaps."""
        return float(np.abs(self._sums).sum() / len(self.places))

    @cached_property
    def _sums(self) -> Floats:
        _, place = np.unique(self.places, return_inverse=True)
        return np.bincount(place, self.stated - self.true).astype(np.float64)

    @cached_property
    def counts(self) -> Floats:
        """How many decisions each bin holds (C,)."""
        return np.unique(self.places, return_counts=True)[1].astype(np.float64)

    def expected(self) -> float:
        """The mean sum of absolute gaps of samples that vary about the gaps of this one; NaN of a single unit."""
        if self.units < 2:
            return self.error()
        return float(folded(*self._gaps)[0].sum())

    def limits(self) -> tuple[float, float]:
        """The 95 % limits of the sum of absolute gaps, corrected for what chance adds; NaN of a single unit."""
        return interval_of_gaps(self.places, self.stated, self.true, self.unit_of)

    def worst(self) -> float:
        """The largest absolute gap of any bin."""
        return float(np.abs(self._sums / self.counts).max())

    def limits_of_worst(self) -> tuple[float, float]:
        """The 95 % limits of the largest gap, by limits that hold for all bins at once."""
        if self.units < 2:
            return float("nan"), float("nan")
        means, error = self._gaps
        share = self.counts / len(self.places)
        size, reach = np.abs(means) / share, ndtri(1 - 0.025 / self.count) * error / share
        return float(max(0.0, (size - reach).max())), float(min(1.0, (size + reach).max()))

    def drawn(self, seed: int = 0) -> Floats:
        """Sums of stated less true in each bin (B, C), were truths drawn by what was stated.

        One by one where each decision is a unit of its own; else, or where there are many, normal with the variance
        that was seen between units, or what drawing gives if that is more.
        """
        random = np.random.default_rng(seed)
        _, place = np.unique(self.places, return_inverse=True)
        if self.alone and len(self.stated) <= MOST_DRAWN:
            blocks = []
            rows = max(1, AT_ONCE // max(1, len(self.stated)))
            for start in range(0, DRAWS, rows):
                size = min(rows, DRAWS - start)
                off = self.stated - (random.random((size, len(self.stated))) < self.stated)
                keys = place + self.count * np.arange(size)[:, None]
                blocks.append(np.bincount(keys.ravel(), off.ravel(), size * self.count).reshape(size, -1))
            return np.concatenate(blocks)
        if self.units < 2:
            return np.zeros((DRAWS, self.count))
        spread = gaps(self.places, self.stated, self.true, self.unit_of)[1] * len(self.places) ** 2
        values, vectors = np.linalg.eigh(spread)
        noise = random.normal(size=(DRAWS, self.count)) @ (vectors * np.sqrt(np.maximum(values, 0))).T
        return np.asarray(noise)

    def p_value(self) -> float:
        """The share of drawn samples of which the gaps sum to as much as here."""
        seen = np.abs(self._sums).sum()
        return float((1 + (np.abs(self.drawn()).sum(axis=1) >= seen - 1e-9).sum()) / (1 + DRAWS))

    def bands(self) -> tuple[Floats, Floats]:
        """In which 95 % of the shares that are true would lie in each bin, were truths drawn by what was stated."""
        _, place = np.unique(self.places, return_inverse=True)
        mean = np.bincount(place, self.stated) / self.counts
        shares = mean - self.drawn() / self.counts
        low, high = np.quantile(shares, (0.025, 0.975), axis=0)
        return np.clip(low, 0, 1), np.clip(high, 0, 1)


def decisions_of(scores: Judged, sample: Sample) -> Binned:
    """The decisions of predictions in bins of equal width: answers or, of several labels, each label that is known."""
    grouped = sample.groups is not None
    if isinstance(scores, LabelScores):
        rows, labels = np.nonzero(scores.bins >= 0)
        stated, true = scores.probabilities[rows, labels], scores.there[rows, labels]
        places = scores.bins[rows, labels]
        return Binned(places, stated, true, sample.unit_of[rows], len(np.unique(rows)), grouped, False)
    assert isinstance(scores, Scores), "with one label per image"
    read = scores.readable
    unit_of = sample.unit_of[read]
    return Binned(
        scores.bins[read], scores.confidence[read], scores.hits[read], unit_of, int(read.sum()), grouped, not grouped
    )


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
        return _inverted(*self._scaled, folded) if self.units > 1 else (float("nan"), float("nan"))

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
        return _inverted(*self._squared, squared) if self.units > 1 else (float("nan"), float("nan"))

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


def folded(means: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """The mean and the variance of the size of normal variables (C,)."""
    error = np.maximum(errors, 1e-300)
    ratio = means / error
    mean = error * np.sqrt(2 / np.pi) * np.exp(-np.square(ratio) / 2) + means * (1 - 2 * ndtr(-ratio))
    return mean, np.maximum(np.square(means) + np.square(errors) - np.square(mean), 0)


def squared(means: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """The mean and the variance of the squares of normal variables (C,)."""
    variance = np.square(errors)
    return np.square(means) + variance, 2 * np.square(variance) + 4 * np.square(means) * variance


def _inverted(
    means: Floats, errors: Floats, moments: Callable[[Floats, Floats], tuple[Floats, Floats]]
) -> tuple[float, float]:
    """The 95 % limits of a sum of sizes or squares of gaps, as `interval_of_gaps` has them, for very many bins.

    The sum over many bins is about normal; what is asked is at which true sum the one seen is no surprise.
    """
    power = 1.0 if moments is folded else 0.5

    def size(shape: Floats) -> float:
        return float((np.abs(shape) if moments is folded else np.square(shape)).sum())

    seen = size(means)
    freed = np.sqrt(np.maximum(np.square(means) - np.square(errors), 0)) * np.sign(means)
    narrow = freed if freed.any() else means
    wide = np.hypot(means, errors) * np.where(means < 0, -1, 1)

    def above(shape: Floats) -> Callable[[float], float]:
        direction = shape / max(size(shape), 1e-300) ** power

        def share(true: float) -> float:
            mean, variance = moments(direction * true**power, errors)
            return float(ndtr((mean.sum() - seen) / max(np.sqrt(variance.sum()), 1e-300)))

        return share

    return first_of(above(narrow), 0.025), first_of(above(wide), 0.975)
