"""How far each image moves a figure of order: what the interval of very many images is made from.

To first order in the weights of the images (the infinitesimal jackknife of Jaeckel 1972; for areas the structural
components of DeLong, DeLong and Clarke-Pearson 1988).
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.special import digamma, polygamma

from linnaea.arrays import Flags, Floats, Integers
from linnaea.runtime.machine import available_threads


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
        lower = positives.searchsorted(probabilities, side="left")
        tied = positives[np.minimum(lower, len(positives) - 1)] == probabilities if len(positives) else there
        upper = lower.copy()
        upper[tied] = positives.searchsorted(probabilities[tied], side="right")
        left, right = (positives.searchsorted(positives, side=side) for side in ("left", "right"))
        return cls(there, lower, upper, left, right)

    @property
    def defined(self) -> bool:
        """Whether there are both positives and others."""
        return 0 < len(self.left) < len(self.there)


Part = Callable[[Standing], tuple[float, Floats]]


def of_area(standing: Standing) -> tuple[float, Floats]:
    """The area under the ROC curve, and the influence of each image (m,)."""
    positives, others = len(standing.left), len(standing.there) - len(standing.left)
    below = 1 - (standing.lower + standing.upper) / (2 * positives)  # of the positives, how many are above an image
    area = float(below[~standing.there].mean())
    rest = ~standing.there
    not_above = np.bincount(standing.upper[rest], minlength=positives + 1).cumsum()[standing.left]
    above = np.bincount(standing.lower[rest], minlength=positives + 1)[::-1].cumsum()[::-1][standing.right]
    won = (not_above + (others - above)) / (2 * others)
    influence = (below - area) / others
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
