"""Intervals: how far a figure could be off because only so many images were seen."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from linnaea.arrays import Floats
from linnaea.errors import UsageError
from linnaea.finding import Estimate
from linnaea.statistics.spread import Bounds, Sample, Spread, left_out, limits_of, resample

REPLICATES = 200
FEWEST_REPLICATES = 40
Limits = tuple[float | None, float | None]


@dataclass(frozen=True, eq=False)
class Statistic:
    """A figure as a function of the weights of the images, and what its interval needs.

    `function` maps weights (B, N) to values (B,); `images` is the number of images behind it. `limits` are ready
    limits by `method`. `influence` (N,), where it is known, is the rate at which the figure rises with the weight of
    each image. A figure that is not `smooth` jumps where images change places, and is resampled. `slack` is how far it
    could be lower and higher because of parts that did not vary, `bounds` the figure's range. `note` is added to the
    method.
    """

    function: Callable[[Floats], Floats]
    images: int
    limits: Limits | None = None
    method: str = "Wilson"
    influence: Floats | None = None
    smooth: bool = True
    slack: tuple[float, float] = (0.0, 0.0)
    bounds: Bounds = (-np.inf, np.inf)
    note: str = ""
    undefined: str = "no images"


def estimate(
    statistics: Mapping[str, Statistic],
    sample: Sample,
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> dict[str, Estimate]:
    """Each statistic's value and 95 % interval over one sample.

    Unless a statistic says otherwise, each unit, an image or a whole group, is left out in turn (Tukey's jackknife); of
    more units than `replicates` as many parts of them, drawn by chance. The limits are by Student's t, with as many
    degrees of freedom as units carry the variance (Satterthwaite), on a scale that knows the figure's bounds. The
    interval holds the value, and is that of the value with and without the bias that the jackknife finds. Parts that
    did not vary widen it, combined as Zou and Donner (2008) combine independent limits: that no mistake was seen does
    not mean that there are none. Raises UsageError for fewer replicates than an interval of 95 % needs.
    """
    if replicates < FEWEST_REPLICATES:
        raise UsageError(
            f"replicates is {replicates}: a 95 % interval needs at least {FEWEST_REPLICATES}, {REPLICATES} is usual."
        )
    drawn = {
        name: item for name, item in statistics.items() if item.limits is None and item.images and sample.units > 1
    }
    smooth = {name: item for name, item in drawn.items() if item.smooth and item.influence is None}
    rough = {name: item for name, item in drawn.items() if not item.smooth}
    values = _values(smooth, left_out(sample, replicates, seed) if smooth else ())
    values |= _values(rough, resample(sample, replicates, seed) if rough else ())
    how = _How(sample, replicates)
    return {name: how.estimate(item, values.get(name)) for name, item in statistics.items()}


def _values(statistics: Mapping[str, Statistic], weightings: Iterable[Floats]) -> dict[str, Floats]:
    values: dict[str, list[Floats]] = {name: [] for name in statistics}
    for weights in weightings:
        for name, item in statistics.items():
            values[name].append(item.function(weights))
    return {name: np.concatenate(chunks) for name, chunks in values.items()}


@dataclass(frozen=True)
class _How:
    """How the intervals over one sample are made, from so many replicates at most."""

    sample: Sample
    replicates: int

    def estimate(self, item: Statistic, values: Floats | None) -> Estimate:
        """The value and the interval of a statistic, from what it is on the replicates (B,)."""
        value = float(item.function(np.ones((1, self.sample.n)))[0]) if item.images else float("nan")
        if np.isnan(value):
            return Estimate(None, None, None, item.images, f"not defined: {item.undefined}")
        if item.limits is not None:
            return Estimate(value, *item.limits, item.images, item.method + item.note)
        lack = self._lack(item, values)
        if lack:
            return Estimate(value, None, None, item.images, f"no interval: {lack}")
        widened = ", widened by Wilson where nothing varied" if any(item.slack) else ""
        lo, hi = _limits(item, value, self._spread(item, value, values))
        return Estimate(value, lo, hi, item.images, self._method(item) + widened + item.note)

    def _lack(self, item: Statistic, values: Floats | None) -> str:
        """Why there is no interval, if there is none."""
        unit = "image" if self.sample.groups is None else "group"
        if self.sample.units < 2:
            return "one image" if unit == "image" else "all images belong to one group"
        if values is None or not np.isnan(values).any():
            return ""
        if item.smooth:
            return f"the figure is not defined without one {unit}"
        return "the figure is undefined in most resamples" if 2 * np.isnan(values).sum() > len(values) else ""

    def _spread(self, item: Statistic, value: float, values: Floats | None) -> Spread:
        if item.influence is not None:
            return Spread.of_influence(item.influence, self.sample)
        assert values is not None, "a statistic without influence is replicated"
        if item.smooth:
            return Spread.of_left_out(values, value)
        return Spread.of_resamples(values[~np.isnan(values)], self.sample.units)

    def _method(self, item: Statistic) -> str:
        units = self.sample.units
        groups = "" if self.sample.groups is None else f" over {units:,} groups"
        if not item.smooth:
            return f"bootstrap{groups}, {self.replicates:,} replicates"
        several = item.influence is None and units > self.replicates
        return f"jackknife{groups}{f', {self.replicates:,} parts' * several}"


def _limits(item: Statistic, value: float, spread: Spread) -> tuple[float, float]:
    unbiased = np.clip(np.array([value, value - spread.bias]), *item.bounds)
    ends = limits_of(unbiased, np.full(2, spread.error), spread.freedom, item.bounds)
    lo, hi = min(value, ends[0].min()), max(value, ends[1].max())
    below = np.hypot(value - lo, item.slack[0])
    above = np.hypot(hi - value, item.slack[1])
    least, most = item.bounds
    return float(max(value - below, least)), float(min(value + above, most))
