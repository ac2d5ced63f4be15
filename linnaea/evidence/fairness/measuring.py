"""A gap between the groups of one slicing: its size, its limits, and whether chance explains it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.fairness.gaps.contract import Rate
from linnaea.evidence.fairness.slicing import Slices
from linnaea.finding import Estimate
from linnaea.runtime.words import counted
from linnaea.statistics.association import holm
from linnaea.statistics.between_groups import (
    Means,
    confidence_for_pairs,
    is_shares,
    judged_groups,
    largest_difference,
    means_of,
    p_of_groups,
)
from linnaea.statistics.spread import Sample

ERROR = 0.05


@dataclass(frozen=True, eq=False)
class Compared:
    """One rate compared between groups: the mean of each (G,), NaN where it is not judged, and the p-values (G,).

    `images` are all that the rate has in each group, judged or not (G,).
    """

    rate: Rate
    means: Means
    p: Floats
    images: Floats

    @property
    def judged(self) -> list[int]:
        """The groups that are compared."""
        return [int(place) for place in np.flatnonzero(~np.isnan(self.means.value))]

    @property
    def difference(self) -> tuple[float, float, float]:
        """The largest difference of two groups, with limits that hold for all pairs at once."""
        return largest_difference(self.means)

    @property
    def ends(self) -> tuple[int, int]:
        """The groups with the lowest and the highest mean."""
        return int(np.nanargmin(self.means.value)), int(np.nanargmax(self.means.value))


@dataclass(frozen=True, eq=False)
class Measured:
    """A gap of one slicing: the rates that are compared, the estimate, and the p-value corrected within the gap.

    `adjusted` is the p-value corrected for all gaps and slicings as well, and `factor` what that is in terms of the
    first.
    """

    gap: str
    slices: Slices
    compared: list[Compared]
    estimate: Estimate
    p: float = 1.0
    adjusted: float = 1.0
    factor: float = 1.0

    @property
    def widest(self) -> Compared | None:
        """The rate with the largest difference; None where no gap is defined."""
        known = [one for one in self.compared if len(one.judged) > 1]
        return max(known, key=lambda one: one.difference[0]) if known else None

    @property
    def found(self) -> bool:
        """Whether chance alone would hardly make such a gap."""
        return self.estimate.value is not None and self.adjusted <= ERROR

    def corrected(self, adjusted: float, factor: float) -> "Measured":
        """The same with what the correction for all gaps and slicings makes of it."""
        return replace(self, adjusted=adjusted, factor=factor)


def measured(gap: str, rates: list[Rate], slices: Slices, sample: Sample, smallest: int, seed: int) -> Measured:
    """The gap, on groups of `smallest` images or more, each of the `rates` having its share of the error."""
    error = ERROR / max(len(rates), 1)
    compared = [_compared(rate, slices, sample, smallest, error, seed) for rate in rates]
    known = [one for one in compared if len(one.judged) > 1]
    if not known:
        return Measured(gap, slices, compared, Estimate(None, None, None, 0, f"not defined: {_lack(rates, smallest)}"))
    differences = np.array([one.difference for one in known])
    value, (lo, hi) = float(differences[:, 0].max()), np.fmax.reduce(differences[:, 1:])
    images = max(int(one.means.images[one.judged].sum()) for one in known)
    p = min(1.0, len(compared) * min(float(np.nanmin(one.p)) for one in known))
    estimate = Estimate(value, float(lo), min(float(hi), _most(rates)), images, _method(known, sample))
    if np.isnan(lo):
        estimate = Estimate(value, None, None, images, NO_INTERVAL)
    return Measured(gap, slices, compared, estimate, p)


NO_INTERVAL = "no interval: fewer than two groups have independent images"


def _compared(rate: Rate, slices: Slices, sample: Sample, smallest: int, error: float, seed: int) -> Compared:
    count = len(slices)
    there = np.where(rate.used, slices.places, -1)
    large = judged_groups(there, count, smallest)
    rows = np.flatnonzero(rate.used & large[slices.places])
    images = np.bincount(there[there >= 0], minlength=count).astype(np.float64)
    units = None if sample.groups is None else sample.groups[rows]
    if large.sum() < 2:
        nothing = np.full(count, np.nan)
        return Compared(rate, Means(nothing, nothing, nothing, np.zeros(count, dtype=np.int64)), nothing, images)
    values, places = rate.values[rows], slices.places[rows]
    confidence = confidence_for_pairs(int(large.sum()), error)
    means = means_of(values, places, count, units, confidence=confidence)
    return Compared(rate, means, p_of_groups(values, places, count, units, seed=seed), images)


def _lack(rates: list[Rate], smallest: int) -> str:
    if not rates:
        return "these images have nothing to measure it by"
    return f"fewer than two groups have {smallest} images or more to measure it by"


def _most(rates: list[Rate]) -> float:
    """The largest difference that there can be."""
    return 1.0 if all(is_shares(rate.values) or rate.values.min() >= 0 for rate in rates) else 2.0


def _method(known: list[Compared], sample: Sample) -> str:
    kind = "Newcombe" if is_shares(known[0].rate.values) else "Student's t"
    groups = max(len(one.judged) for one in known)
    classes = f" and {len(known)} rates" if len(known) > 1 else ""
    over = "" if sample.groups is None else f" over {sample.units:,} groups of images"
    together = f", for {counted(groups, 'group')}{classes} at once" if groups > 2 or classes else ""
    return f"{kind}{over}{together}"


def corrected(p: Sequence[float]) -> list[tuple[float, float]]:
    """Each p-value corrected for there being several (Holm 1979), and what that is in terms of the first."""
    order = np.argsort(p, kind="stable").tolist()
    factors = {place: float(len(p) - rank) for rank, place in enumerate(order)}
    return [(value, factors[place]) for place, value in enumerate(holm(p))]
