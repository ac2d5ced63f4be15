"""Decisions in bins by what was stated of them: gaps to what is true, and how far these vary by chance."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.metrics.gaps import folded, gaps, interval_of_gaps
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
