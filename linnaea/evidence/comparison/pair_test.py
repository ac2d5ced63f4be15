"""Two of several classifiers on the same images: their difference, its test, and what would decide it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

from linnaea.arrays import Flags, Floats
from linnaea.evidence.comparison.differences import alike, test_of
from linnaea.evidence.metrics import Judged, Metric, Scores
from linnaea.evidence.uncertainty import Jackknifed, used_by, why_undefined
from linnaea.finding import Estimate
from linnaea.statistics.intervals import REPLICATES
from linnaea.statistics.margins import WithinMargin, images_to_decide, tango, within_by_error
from linnaea.statistics.paired import bonett_price
from linnaea.statistics.spread import Sample, Spread, left_out, resample

DRAWS = 1_000
LEVEL = 0.05
AREA = "roc_auc_ovr"
Function = Callable[[Floats], Floats]


@dataclass(frozen=True)
class PairTest:
    """What is known of the difference of two classifiers, second less first, by one metric.

    `p_value` is that of no difference by `test`, `adjusted` that corrected for all pairs; None where there is none.
    `discordant` are the images that only the first, and only the second, has right, where that can be counted.
    `images_to_decide` would show the difference that was seen in 80 of 100 such samples; None where it is shown, or
    where there is none. `within` tells whether they differ by less than a margin, `images_for_margin` how many images
    would show that the second, and that the first, is no worse than by it.
    """

    first: str
    second: str
    difference: Estimate
    p_value: float | None
    test: str
    adjusted: float | None = None
    better: str | None = None
    discordant: tuple[int, int] | None = None
    images_to_decide: int | None = None
    within: WithinMargin | None = None
    images_for_margin: tuple[int | None, int | None] | None = None

    def corrected(self, adjusted: float | None, *, higher_is_better: bool) -> "PairTest":
        """The same with a corrected p-value, and the one that is shown to be better by it and by the interval."""
        lo, hi, value = self.difference.lo, self.difference.hi, self.difference.value
        shown = adjusted is not None and adjusted < LEVEL and value is not None
        shown = shown and lo is not None and hi is not None and (lo > 0 or hi < 0)
        if not shown or value is None:
            return replace(self, adjusted=adjusted)
        better = self.second if (value > 0) == higher_is_better else self.first
        return replace(self, adjusted=adjusted, better=better, images_to_decide=None)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self) | {
            "within": None
            if self.within is None
            else asdict(self.within) | {"either": self.within.either, "verdict": self.within.verdict}
        }


@dataclass(frozen=True, eq=False)
class Contest:
    """How two are compared: by what metric, on which images, against what margin."""

    name: str
    metric: Metric[Any]
    sample: Sample
    margin: float | None = None
    seed: int = 0
    replicates: int = REPLICATES

    def between(self, names: tuple[str, str], sides: tuple[Sequence[Judged], Sequence[Judged]]) -> PairTest:
        """Compare two classifiers, of each the scores of one training or of several."""
        if max(map(len, sides)) == 1:
            return self._of_one_each(names, (sides[0][0], sides[1][0]))
        return self._of_several(names, sides)

    def _of_one_each(self, names: tuple[str, str], given: tuple[Judged, Judged]) -> PairTest:
        scores = alike(self.metric, given)
        used = used_by(self.metric, scores[0])
        found = self._spread([[scores[0]], [scores[1]]], used)
        if isinstance(found, Estimate):
            return PairTest(*names, found, None, f"none: {found.method}")
        gain, spread = found.value, found.spread
        p_value, test = self._test(scores, found)
        discordant, method = None, f"{test}'s error" if test == "DeLong" else "jackknife"
        half = float(stdtrit(spread.freedom, 0.975)) * spread.error
        limits: tuple[float | None, float | None] = (gain - half, gain + half) if spread.error > 0 else (None, None)
        if self.metric.flags is not None:
            lost, won = (self._only(scores, used, side) for side in (0, 1))
            discordant = lost, won
            if self.sample.groups is None:
                limits, method = bonett_price(lost, won, int(used.sum())), "Bonett and Price, paired"
        if limits[0] is None:
            method = "no interval: the figure does not vary"
        test_made = PairTest(
            *names, Estimate(gain, *limits, int(used.sum()), method), p_value, test, discordant=discordant
        )
        return self._with_outlook(test_made, spread)

    def _of_several(self, names: tuple[str, str], sides: tuple[Sequence[Judged], Sequence[Judged]]) -> PairTest:
        together = _alike(self.metric, sides)
        used = used_by(self.metric, together[0][0])
        found = self._spread(together, used)
        if isinstance(found, Estimate):
            return PairTest(*names, found, None, f"none: {found.method}")
        of_seeds = [_variance_of_mean(values) for values in found.values]
        parts = [(found.spread.error**2, found.spread.freedom), *of_seeds]
        variance = sum(part for part, _ in parts)
        freedom = variance**2 / max(sum(part**2 / free for part, free in parts if free > 0), 1e-300)
        spread = Spread(float(np.sqrt(variance)), float(max(freedom, 1.0)))
        trainings = " and ".join(str(len(side)) for side in sides)
        if not spread.error > 0:
            nothing = Estimate(found.value, None, None, int(used.sum()), "no interval: the figure does not vary")
            return PairTest(*names, nothing, None, "none: the figure does not vary")
        half = float(stdtrit(spread.freedom, 0.975)) * spread.error
        told = Estimate(
            found.value,
            found.value - half,
            found.value + half,
            int(used.sum()),
            f"Student's t over images and {trainings} trainings",
        )
        p_value = float(2 * stdtr(spread.freedom, -abs(found.value) / spread.error))
        single = [name for name, side in zip(names, sides, strict=True) if len(side) == 1]
        lack = f", what another training of {single[0]} would change is not known" if single else ""
        test = PairTest(*names, told, p_value, f"t-test over images and {trainings} trainings{lack}")
        return self._with_outlook(test, spread, float(np.sqrt(sum(part for part, _ in of_seeds))))

    def _with_outlook(self, test: PairTest, spread: Spread, of_trainings: float = 0.0) -> PairTest:
        sign = 1 if self.metric.higher_is_better else -1
        difference, images = test.difference, test.difference.n
        assert difference.value is not None, "it is defined"
        gain = sign * difference.value
        of_images = float(np.sqrt(max(spread.error**2 - of_trainings**2, 0.0)))
        needed = images_to_decide(gain, of_images, images, fixed=of_trainings)
        within = needed_for_margin = None
        if self.margin is not None:
            within = within_by_error(gain, spread.error, spread.freedom, self.margin)
            if test.discordant is not None and self.sample.groups is None:
                lost, won = test.discordant
                worse = [tango(one, other, images, self.margin) for one, other in ((won, lost), (lost, won))]
                within = WithinMargin(self.margin, *worse)
            second, first = (
                images_to_decide(way * gain, of_images, images, margin=self.margin, fixed=of_trainings)
                for way in (1, -1)
            )
            needed_for_margin = second, first
        return replace(test, images_to_decide=needed, within=within, images_for_margin=needed_for_margin)

    def _test(self, scores: tuple[Judged, Judged], found: "_Found") -> tuple[float | None, str]:
        """The p-value of no difference, and the name of the test."""
        if self.metric.flags is not None:
            return test_of(self.metric, scores, self.sample, self.seed)
        value, spread = found.value, found.spread
        if not spread.error > 0:
            return None, "none: the figure does not vary"
        if found.exact:
            return float(2 * ndtr(-abs(value) / spread.error)), "DeLong"
        if found.influence is not None:
            return float(2 * stdtr(spread.freedom, -abs(value) / spread.error)), "t-test, to first order"
        return _bootstrap(found.function, value, self.sample, self.seed)

    def _only(self, scores: tuple[Judged, Judged], used: Flags, side: int) -> int:
        assert self.metric.flags is not None, "only a share of images counts them"
        own, other = self.metric.flags(scores[side]), self.metric.flags(scores[1 - side])
        return int((own & ~other & used).sum())

    def _spread(self, sides: Sequence[Sequence[Judged]], used: Flags) -> "_Found | Estimate":
        """The difference of the means of two sides, and how it varies with the images; why not, where it does not."""
        if not used.any():
            return Estimate(None, None, None, 0, f"not defined: {why_undefined(sides[0][0], used)}")
        told = [[self._of(side, used) for side in several] for several in sides]
        ones = np.ones((1, self.sample.n))
        values = [[float(one.function(ones)[0]) for one in several] for several in told]
        lacking = next((side for side, several in enumerate(values) if np.isnan(several).any()), None)
        if lacking is not None:
            why = why_undefined(sides[lacking][0], used)
            return Estimate(None, None, None, int(used.sum()), f"not defined: {why}")
        value = float(np.mean(values[1]) - np.mean(values[0]))
        if self.sample.units < 2:
            unit = "one image" if self.sample.groups is None else "all images belong to one group"
            return Estimate(value, None, None, int(used.sum()), f"no interval: {unit}")
        influence = _difference_of([[one.influence for one in several] for several in told])

        def function(weights: Floats) -> Floats:
            first, second = (np.mean([one.function(weights) for one in several], axis=0) for several in told)
            return np.asarray(second - first)

        exact = self._exact(sides[0][0]) and max(map(len, sides)) == 1
        spread = self._error(function, influence, sides[0][0] if exact else None, value)
        if np.isnan(spread.error):
            unit = "image" if self.sample.groups is None else "group"
            return Estimate(value, None, None, int(used.sum()), f"no interval: not defined without one {unit}")
        return _Found(value, values, function, influence, spread, exact)

    def _of(self, scores: Judged, used: Flags) -> Jackknifed:
        if self._exact(scores):
            assert self.metric.linear is not None, "an area is known to first order"
            linear = self.metric.linear(scores)
            return Jackknifed(
                lambda weights: self.metric(scores, weights), linear.values, linear.images, linear.influence
            )
        told = Jackknifed.of(self.metric, scores, used)
        if self.metric.flags is None:
            return told
        flags, images = self.metric.flags(scores), int(used.sum())
        share = flags[used].mean()
        return replace(told, influence=np.where(used, flags - share, 0.0) / images)

    def _exact(self, scores: Judged) -> bool:
        """Whether the error is that of DeLong: an area of two classes, of images that are independent."""
        return self.name == AREA and isinstance(scores, Scores) and scores.classes == 2 and self.sample.groups is None

    def _error(self, function: Function, influence: Floats | None, of_area_of: Judged | None, value: float) -> Spread:
        if influence is not None and isinstance(of_area_of, Scores):
            return _delong(influence, of_area_of)
        if influence is not None:
            return Spread.of_influence(influence, self.sample)
        parts = left_out(self.sample, self.replicates, self.seed)
        return Spread.of_left_out(np.concatenate([function(weights) for weights in parts]), value)


@dataclass(frozen=True, eq=False)
class _Found:
    """A difference, the figures of each side, and the spread over images; `exact` where it is DeLong's."""

    value: float
    values: list[list[float]]
    function: Function
    influence: Floats | None
    spread: Spread
    exact: bool


def _delong(influence: Floats, scores: Scores) -> Spread:
    """The standard error of a difference of areas from their structural components (DeLong et al. 1988)."""
    squares = 0.0
    for there in (scores.targets == 1, scores.targets != 1):
        own = influence[there & scores.readable]
        squares += float(np.square(own).sum()) * len(own) / max(len(own) - 1, 1)
    return Spread(float(np.sqrt(squares)), np.inf)


def _bootstrap(function: Function, value: float, sample: Sample, seed: int) -> tuple[float | None, str]:
    """The two-sided p-value by a paired bootstrap: how often chance moves the difference as far as it lies from 0."""
    draws = np.concatenate([function(weights) for weights in resample(sample, DRAWS, seed)])
    known = draws[~np.isnan(draws)]
    if 2 * len(known) < len(draws):
        return None, "none: not defined in most resamples"
    beyond = int((np.abs(known - value) >= abs(value)).sum())
    over = "" if sample.groups is None else f" over {sample.units:,} groups"
    return (beyond + 1) / (len(known) + 1), f"paired bootstrap{over}, {DRAWS:,} draws"


def _alike(metric: Metric[Any], sides: Sequence[Sequence[Judged]]) -> list[list[Judged]]:
    if not metric.readable_only:
        return [list(several) for several in sides]
    readable = np.logical_and.reduce([one.readable for several in sides for one in several])
    return [[one.with_readable(readable) for one in several] for several in sides]


def _variance_of_mean(values: Sequence[float]) -> tuple[float, float]:
    """The variance of a mean over trainings and its degrees of freedom; nothing of a single one."""
    return (float(np.var(values, ddof=1)) / len(values), len(values) - 1.0) if len(values) > 1 else (0.0, 0.0)


def _difference_of(sides: Sequence[Sequence[Floats | None]]) -> Floats | None:
    """The mean influence (n,) of the second side less that of the first; None where one is not known."""
    known = [[one for one in several if one is not None] for several in sides]
    if any(len(found) < len(several) for found, several in zip(known, sides, strict=True)):
        return None
    first, second = (np.mean(several, axis=0) for several in known)
    return np.asarray(second - first)
