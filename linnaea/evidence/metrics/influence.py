"""How far each image moves a figure of order: what the interval of very many images is made from.

To first order in the weights of the images (the infinitesimal jackknife of Jaeckel 1972; for areas the structural
components of DeLong, DeLong and Clarke-Pearson 1988).
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from scipy.special import digamma, polygamma

from linnaea.arrays import Flags, Floats, Integers
from linnaea.runtime.machine import available_threads

_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
_SHIFTS = {"f4": 12, "f8": 41}  # what is left of a number from 0 to 1 has fewer than 2**19 values
_WORTH_A_TABLE = 200_000


@dataclass(frozen=True, eq=False)
class Linear:
    """A mean of parts, to first order.

    `values` (C,) are the parts, NaN those left out, `images` (C,) the number behind each, and `influence` (n,) the rate
    at which the figure rises with the weight of each image.
    """

    values: Floats
    images: Floats
    influence: Floats

    def __call__(self, weights: Floats) -> Floats:
        """The figure for weights (B, n) near one, shape (B,)."""
        defined = self.values[~np.isnan(self.values)]
        if not len(defined):
            return np.full(len(weights), np.nan)
        return np.asarray(defined.mean() + (weights - 1) @ self.influence)

    def few(self, least: int) -> bool:
        """Whether any part rests on fewer images than this."""
        return bool((self.images[~np.isnan(self.values)] < least).any())

    def among(self, rows: Flags) -> "Linear":
        """The same among more images, of which these (N,) are its own and the others play no part."""
        influence = np.zeros(len(rows))
        influence[rows] = self.influence
        return Linear(self.values, self.images, influence)


@dataclass(frozen=True, eq=False)
class Standing:
    """Where images stand among the positives: `lower` and `upper` (m,) count those below, and those not above.

    `there` (m,) says which images are positive; `left` and `right` (P,) are the two counts of each positive itself.
    """

    there: Flags
    lower: Integers
    upper: Integers
    left: Integers
    right: Integers

    @classmethod
    def of(cls, probabilities: Floats, there: Flags) -> "Standing":
        """Of probabilities (m,); the positives alone are sorted."""
        positives = np.sort(probabilities[there])
        left, right = (positives.searchsorted(positives, side=side) for side in _SIDES)
        return cls(there, *_counts(positives, probabilities), left, right)

    @property
    def defined(self) -> bool:
        """Whether there are both positives and others."""
        return 0 < len(self.left) < len(self.there)


def _counts(positives: Floats, probabilities: Floats) -> tuple[Integers, Integers]:
    """How many of the sorted positives (P,) are below each probability (m,), and how many are not above it.

    Leading bits order numbers from 0 up as the numbers themselves. A table tells by them of all that share theirs with
    no positive, which are most; only the others are searched for.
    """
    shift = _SHIFTS.get(probabilities.dtype.str[1:])
    if shift is None or len(probabilities) < _WORTH_A_TABLE or not len(positives) or not probabilities.min() >= 0:
        lower, upper = (positives.searchsorted(probabilities, side=side) for side in _SIDES)
        return lower, upper
    whole = f"i{probabilities.dtype.itemsize}"
    keys, own = ((values + 0).view(whole) >> shift for values in (probabilities, positives))  # + 0: no negative zero
    table = own.searchsorted(np.arange(int(keys.max()) + 1, dtype=whole))
    table[own] = -1
    lower = table.take(keys)
    shared = np.flatnonzero(lower < 0)
    upper = lower.copy()
    lower[shared], upper[shared] = (positives.searchsorted(probabilities[shared], side=side) for side in _SIDES)
    return lower, upper


Part = Callable[[Standing], tuple[float, Floats]]


def of_area(standing: Standing) -> tuple[float, Floats]:
    """The area under the ROC curve, and the influence of each image (m,)."""
    positives, others = len(standing.left), len(standing.there) - len(standing.left)
    upper, lower = (
        np.bincount(all_of_them, minlength=positives + 1) - np.bincount(own, minlength=positives + 1)
        for all_of_them, own in ((standing.upper, standing.right), (standing.lower, standing.left))
    )
    not_above = upper.cumsum()[standing.left]
    above = lower[::-1].cumsum()[::-1][standing.right]
    won = (not_above + (others - above)) / (2 * others)
    area = float(won.mean())
    # Of the positives, how many are above an image, less how many are above one on average.
    influence = (1 - area) / others - (standing.lower + standing.upper) / (2.0 * positives * others)
    influence[standing.there] = (won[_rank(standing)] - area) / positives
    return area, influence


def of_average_precision(standing: Standing) -> tuple[float, Floats]:
    """Average precision, and the influence of each image (m,)."""
    positives = len(standing.left)
    true = positives - standing.left
    named = np.bincount(standing.upper, minlength=positives + 1)[::-1].cumsum()[::-1][standing.right]
    precision = true / named
    average = float(precision.mean())
    gained, lost = (np.pad(part.cumsum(), (1, 0)) for part in ((named - true) / named**2, true / named**2))
    influence = -lost[standing.upper] / positives
    own = standing.upper[standing.there]
    influence[standing.there] = (precision[_rank(standing)] - average + gained[own]) / positives
    return average, influence


def over_classes(images: int, members: Iterable[tuple[Floats, Flags, Integers | slice]], part: Part) -> Linear:
    """The mean of a part per class: of each the probabilities and the positives (m,), and its rows among `images`."""
    values, counts, influence = [], [], np.zeros(images)

    def look(member: tuple[Floats, Flags, Integers | slice]) -> tuple[float, Floats, int, Integers | slice]:
        standing, rows = Standing.of(*member[:2]), member[2]
        fewer = min(len(standing.left), len(standing.there) - len(standing.left))
        found = part(standing) if standing.defined else (float("nan"), np.zeros(len(standing.there)))
        return *found, fewer, rows

    for value, own, fewer, rows in _in_turn(look, members):
        values.append(value)
        counts.append(float(fewer))
        influence[rows] += own
    defined = ~np.isnan(values)
    among = max(1, int(defined.sum()))
    return Linear(np.array(values), np.array(counts), influence / among)


def of_risk_coverage(levels: int, places: Integers, hits: Flags) -> Linear:
    """The area under the risk-coverage curve; `places` (n,) of `levels` confidences, the highest first."""
    images = len(places)
    seen = np.bincount(places, minlength=levels).astype(np.float64)
    wrong = np.bincount(places, weights=~hits, minlength=levels)
    ends, before = seen.cumsum(), seen.cumsum() - seen
    wrong_before = wrong.cumsum() - wrong
    harmonic, bend = digamma(ends + 1) - digamma(before + 1), polygamma(1, ends + 1)
    gap = wrong_before - wrong / seen * before
    area = float((wrong + gap * harmonic).sum() / images)
    by_image = wrong * before / seen**2 * harmonic + gap * bend
    by_mistake = 1 - before / seen * harmonic
    earlier = -wrong / seen * harmonic + gap * (bend - polygamma(1, before + 1))
    for_image, for_mistake = (own + _behind(later) for own, later in ((by_image, earlier), (by_mistake, harmonic)))
    influence = (for_image[places] + np.where(hits, 0, for_mistake[places]) - area) / images
    return Linear(np.array([area]), np.array([float(images)]), influence)


def _behind(values: Floats) -> Floats:
    """The sum of what comes after each."""
    return np.asarray(values[::-1].cumsum()[::-1] - values)


def _rank(standing: Standing) -> Integers:
    """For each positive, in the order of the images, the place of one equal to it among the sorted positives."""
    return standing.lower[standing.there]


def _in_turn(look: Callable, members: Iterable) -> Iterator:  # type: ignore[type-arg]
    """What `look` says of each, in their order, on all cores; few at a time, since each is as long as the images."""
    waiting, threads = iter(members), available_threads()
    with ThreadPoolExecutor(threads) as pool:
        while several := list(islice(waiting, threads)):
            yield from pool.map(look, several)
