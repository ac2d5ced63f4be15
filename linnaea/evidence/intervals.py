"""Intervals: how far a figure could be off because only so many images were seen."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linnaea.errors import UsageError
from linnaea.finding import Estimate
from linnaea.task import Floats

Integers = npt.NDArray[np.int64]
Z = 1.959963984540054
FEWEST_REPLICATES = 40
_ELEMENTS = 2**20  # weights at once, 8 MB: what stays in a processor's cache runs fastest


@dataclass(frozen=True)
class Statistic:
    """A figure as a function of the weights of the images, and what its interval needs beyond resampling.

    `function` maps weights (B, N) to values (B,); `images` is the number of images behind it. `limits` are ready
    limits by `method`, which replace the bootstrap. `slack` is how far the figure could be lower and higher because
    of parts that did not vary, `bias` how far the value tends to lie above the truth, `bounds` the figure's range.
    `note` is added to the method.
    """

    function: Callable[[Floats], Floats]
    images: int
    limits: tuple[float, float] | None = None
    method: str = "Wilson"
    slack: tuple[float, float] = (0.0, 0.0)
    bias: float = 0.0
    bounds: tuple[float, float] = (-np.inf, np.inf)
    note: str = ""
    undefined: str = "no images"


@dataclass(frozen=True, eq=False)
class Sample:
    """The `n` images of a sample and, where they are not independent, the number of each one's group (n,)."""

    n: int
    groups: Integers | None = None

    @classmethod
    def of(cls, n: int, groups: Sequence[Hashable | None] | None) -> "Sample":
        """Number the groups; an image without one is its own, and groups of one image each are no groups."""
        if groups is None:
            return cls(n)
        names = [(1, row) if group is None else (0, group) for row, group in enumerate(groups)]
        index = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return cls(n, np.array([index[name] for name in names]) if len(index) < n else None)

    @property
    def units(self) -> int:
        """How many images or groups can be drawn."""
        return self.n if self.groups is None else int(self.groups.max()) + 1

    @property
    def density(self) -> float:
        """Units per image, 0 to 1: how much of an independent observation an image is taken for at the least."""
        return self.units / self.n if self.n else 1.0


def wilson(successes: Floats | float, n: Floats | float) -> tuple[Floats, Floats]:
    """The 95 % limits of a share, `successes` of `n`, elementwise; NaN where n is 0 (Wilson 1927)."""
    count = np.asarray(n, dtype=np.float64)
    share = np.divide(successes, count, out=np.full(np.shape(count), np.nan), where=count > 0)
    centre = (share * count + Z**2 / 2) / (count + Z**2)
    half = Z / (count + Z**2) * np.sqrt(np.maximum(share * (1 - share), 0) * count + Z**2 / 4)
    lo = np.where(share == 0, 0.0, np.clip(centre - half, 0, 1))
    hi = np.where(share == 1, 1.0, np.clip(centre + half, 0, 1))
    return lo, hi


def unvaried(values: Floats, images: Floats, of: int) -> float:
    """How far the mean of `of` parts could be off through the parts given, each of which showed no variation.

    `values` (C,) only say which parts count (not NaN), `images` (C,) how many each rests on. Wilson's limit for
    as many images as C parts of the smallest size have: a mistake not seen yet may well be in the smallest.
    """
    counted = images[~np.isnan(values)]
    if not len(counted):
        return 0.0
    return float(len(counted) / of * Z**2 / (len(counted) * counted.min() + Z**2))


def slack_of_parts(values: Floats, images: Floats) -> tuple[float, float]:
    """How far below and above a mean of parts (C,) in [0, 1] the truth may lie because some are exactly 1 or 0."""
    of = int((~np.isnan(values)).sum())
    perfect, nil = np.where(values == 1, 1.0, np.nan), np.where(values == 0, 0.0, np.nan)
    return unvaried(perfect, images, of), unvaried(nil, images, of)


def resample(n: int, replicates: int, seed: int, groups: Sequence[Hashable | None] | None = None) -> Iterator[Floats]:
    """Yield weights (b, n), `replicates` rows in all: how often each image is drawn, n of n with replacement.

    With `groups` (n,), whole groups are drawn, as many as there are: images of one group stay together, because
    they are not independent (Davison and Hinkley 1997, section 3.8).
    """
    sample = Sample.of(n, groups)
    units, numbers = sample.units, sample.groups
    random = np.random.default_rng(seed)
    rows = max(1, _ELEMENTS // max(n, 1))
    for start in range(0, replicates if n else 0, rows):
        size = min(rows, replicates - start)
        drawn = random.integers(0, units, (size, units)) + units * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)
        yield counts if numbers is None else counts[:, numbers]


def estimate(
    statistics: Mapping[str, Statistic],
    sample: Sample,
    *,
    seed: int = 0,
    replicates: int = 1000,
) -> dict[str, Estimate]:
    """Each statistic's value and 95 % interval over one sample, all from the same resamples.

    Percentile bootstrap (Efron and Tibshirani 1993) unless the statistic says otherwise. The interval always holds
    the value. Parts that did not vary widen it, combined as Zou and Donner (2008) combine independent limits: a
    resample of no mistakes has no mistakes, which does not mean that there are none. Raises UsageError for fewer
    replicates than an interval of 95 % needs.
    """
    if replicates < FEWEST_REPLICATES:
        raise UsageError(
            f"replicates is {replicates}: an interval of 95 % needs at least {FEWEST_REPLICATES}, 1000 is usual."
        )
    drawn = {
        name: item for name, item in statistics.items() if item.limits is None and item.images and sample.units > 1
    }
    groups = None if sample.groups is None else sample.groups.tolist()
    draws = _replicate(drawn, resample(sample.n, replicates, seed, groups))
    over = "bootstrap" if groups is None else f"bootstrap over {sample.units} groups"
    return {name: _one(item, _value(item, sample.n), draws.get(name), over) for name, item in statistics.items()}


def _replicate(statistics: Mapping[str, Statistic], resamples: Iterator[Floats]) -> dict[str, Floats]:
    values: dict[str, list[Floats]] = {name: [] for name in statistics}
    for weights in resamples if statistics else ():
        for name, item in statistics.items():
            values[name].append(item.function(weights))
    return {name: np.concatenate(chunks) for name, chunks in values.items()}


def _value(item: Statistic, n: int) -> float:
    return float(item.function(np.ones((1, n)))[0]) if item.images else float("nan")


def _one(item: Statistic, value: float, draws: Floats | None, over: str) -> Estimate:
    if np.isnan(value):
        return Estimate(None, None, None, item.images, f"not defined: {item.undefined}")
    if item.limits is not None:
        return Estimate(value, *item.limits, item.images, item.method)
    if draws is None:
        why = "no interval: one image" if over == "bootstrap" else "no interval: all images are of one group"
        return Estimate(value, None, None, item.images, why)
    defined = draws[~np.isnan(draws)]
    if len(defined) < len(draws) / 2:
        return Estimate(value, None, None, item.images, "no interval: most resamples do not define the figure")
    lo, hi = _limits(item, value, defined)
    method = f"{over}, {len(draws)} replicates{', bias removed' if item.bias else ''}"
    widened = ", widened by Wilson where nothing varied" if any(item.slack) else ""
    return Estimate(value, lo, hi, item.images, method + widened + item.note)


def _limits(item: Statistic, value: float, draws: Floats) -> tuple[float, float]:
    lo, hi = np.quantile(draws, [0.025, 0.975])
    if item.bias:
        # A resample is lifted once more: its own centre gives way to the value less its bias.
        lo, hi = np.array([lo, hi]) - draws.mean() + value - item.bias
    below = np.hypot(max(value - lo, 0.0), item.slack[0])
    above = np.hypot(max(hi - value, 0.0), item.slack[1])
    least, most = item.bounds
    return float(max(value - below, least)), float(min(value + above, most))
