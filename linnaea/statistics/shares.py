"""Shares of images: Wilson's limits, also where images come in groups, and room for what was not seen to vary."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from linnaea.arrays import Floats, Integers
from linnaea.statistics.spread import Z, freedom_of


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares (C,) with their 95 % limits, and the number of images behind each; NaN for what cannot be told."""

    value: Floats
    lo: Floats
    hi: Floats
    images: Floats

    def take(self, places: Sequence[int]) -> "Shares":
        """Some of them, in this order."""
        return Shares(*(values[list(places)] for values in (self.value, self.lo, self.hi, self.images)))


def wilson(successes: Floats | float, n: Floats | float, quantile: Floats | float = Z) -> tuple[Floats, Floats]:
    """The limits of a share, `successes` of `n`, elementwise; NaN where n is 0 (Wilson 1927), 95 % by default."""
    count, square = np.asarray(n, dtype=np.float64), np.square(quantile)
    share = np.divide(successes, count, out=np.full(np.shape(count), np.nan), where=count > 0)
    centre = (share * count + square / 2) / (count + square)
    half = quantile / (count + square) * np.sqrt(np.maximum(share * (1 - share), 0) * count + square / 4)
    lo = np.where(share == 0, 0.0, np.clip(centre - half, 0, 1))
    hi = np.where(share == 1, 1.0, np.clip(centre + half, 0, 1))
    return lo, hi


def limits_of_share(count: float, n: float, quantile: float = Z) -> tuple[float, float]:
    """The same of one share, `count` of `n`; 0 and 1 where there are no images."""
    if not n:
        return 0.0, 1.0
    lo, hi = wilson(count, n, quantile)
    return float(lo), float(hi)


def shares(
    places: Integers, successes: Floats, count: int, units: Integers | None = None, *, confidence: float = 0.95
) -> Shares:
    """The share of `successes` (m,), each in [0, 1], at each of `count` places (m,), with Wilson's limits.

    `units` (m,) number what was drawn, where several entries come from one group or image. Wilson's limits are then
    those of as many independent images as give the variance between units (Kish's effective sample size), with
    quantiles of Student's t, as Korn and Graubard (1998) do for surveys. No limits from a single unit. `confidence` is
    that of the limits.
    """
    images = np.bincount(places, minlength=count).astype(np.float64)
    right = np.bincount(places, weights=successes, minlength=count).astype(np.float64)
    share = np.divide(right, images, out=np.full(count, np.nan), where=images > 0)
    if units is None:
        return Shares(share, *wilson(right, images, Z if confidence == 0.95 else ndtri((1 + confidence) / 2)), images)
    effective, freedom = _effective(places, successes, share, images, units)
    lo, hi = wilson(share * effective, effective, stdtrit(np.maximum(freedom, 1.0), (1 + confidence) / 2))
    single = freedom < 1
    return Shares(share, np.where(single, np.nan, lo), np.where(single, np.nan, hi), images)


def share_at(places: Integers, successes: npt.NDArray[np.bool_], count: int, units: Integers | None) -> Shares:
    """The same of images (n,) that succeed or do not; one whose place is -1 is nowhere."""
    there = places >= 0
    return shares(places[there], successes[there].astype(np.float64), count, None if units is None else units[there])


def _effective(
    places: Integers, successes: Floats, share: Floats, images: Floats, units: Integers
) -> tuple[Floats, Floats]:
    """How many independent images each share (C,) is worth, and the degrees of freedom behind it."""
    count = len(share)
    cells, inverse = np.unique(units * count + places, return_inverse=True)
    held, place = np.bincount(inverse), cells % count
    off = np.bincount(inverse, weights=successes) - share[place] * held
    drawn = np.bincount(place, minlength=count).astype(np.float64)
    squares, fourths = (np.bincount(place, off**power, count).astype(np.float64) for power in (2, 4))
    variance = squares * drawn / (np.maximum(drawn - 1, 1) * np.maximum(images, 1) ** 2)
    alike = ~(variance > 1e-20)
    effective = np.where(alike, drawn, share * (1 - share) / np.where(alike, 1.0, variance))
    return np.minimum(effective, images), freedom_of(squares, fourths, drawn)


def unvaried(values: Floats, images: Floats, of: int) -> float:
    """How far the mean of `of` parts could be off through the parts given, each of which showed no variation.

    `values` (C,) only say which parts count (not NaN), `images` (C,) how many each rests on. Wilson's limit for
    as many images as C parts of the smallest size have: a mistake not seen yet may well be in the smallest. Nothing
    where most parts varied: on average these tell also for the others.
    """
    counted = images[~np.isnan(values)]
    if 2 * len(counted) < max(of, 1):
        return 0.0
    return float(len(counted) / of * Z**2 / (len(counted) * counted.min() + Z**2))


def slack_of_parts(values: Floats, images: Floats) -> tuple[float, float]:
    """How far below and above a mean of parts (C,) in [0, 1] the truth may lie because some are exactly 1 or 0."""
    of = int((~np.isnan(values)).sum())
    perfect, nil = np.where(values == 1, 1.0, np.nan), np.where(values == 0, 0.0, np.nan)
    return unvaried(perfect, images, of), unvaried(nil, images, of)
