"""ROC and precision-recall curves with bands, of a yes-or-no question."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.metrics import Scores
from linnaea.evidence.metrics.two_classes import POSITIVE, positives
from linnaea.evidence.tables import percent
from linnaea.finding import Finding
from linnaea.statistics.intervals import REPLICATES
from linnaea.statistics.spread import Sample, Z, limits_of, resample

FALSE_POSITIVE_RATES = np.round((np.arange(41) / 40) ** 2, 4)  # dense where few mistakes are made
RECALLS = np.round(np.arange(1, 41) / 40, 4)
TOLD_RATE = 0.05
TOLD_RECALL = 0.9
FEWEST_REPLICATES = 100
_WEIGHTS = 20_000_000
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Curve:
    """Readable images by falling probability of the positive class.

    `order` (n,) are their rows, `positive` (n,) whether each is one, `ends` (T,) where a run of equal probabilities
    ends, `probabilities` (T,) these.
    """

    order: Integers
    positive: Flags
    ends: Integers
    probabilities: Floats

    @classmethod
    def of(cls, scores: Scores) -> "Curve":
        """From what was answered about images of two classes."""
        rows = np.flatnonzero(scores.readable)
        order = rows[np.argsort(-scores.probabilities[rows, POSITIVE], kind="stable")]
        ranked = scores.probabilities[order, POSITIVE]
        ends = np.flatnonzero(np.append(np.diff(ranked) < 0, True)) if len(ranked) else np.zeros(0, dtype=np.int64)
        return cls(order, positives(scores)[order], ends, ranked[ends])

    @property
    def defined(self) -> bool:
        """Whether there are both positives and negatives."""
        return bool(self.positive.any() and not self.positive.all())

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Positives and negatives at or above each probability, for weights (B, N): (B, 1 + T) from 0 up, twice."""
        drawn = weights[:, self.order]
        found, mistaken = (np.cumsum(drawn * kind, axis=1)[:, self.ends] for kind in (self.positive, ~self.positive))
        return np.pad(found, ((0, 0), (1, 0))), np.pad(mistaken, ((0, 0), (1, 0)))

    def sensitivities(self, weights: Floats) -> Floats:
        """The highest sensitivity at each of `FALSE_POSITIVE_RATES` (B, G); NaN without positives or negatives."""
        found, mistaken = self.counts(weights)
        places = _places(mistaken, FALSE_POSITIVE_RATES + _ROUNDING, "right") - 1
        return _ratio(np.take_along_axis(found, places, axis=1), found[:, -1:], mistaken[:, -1:])

    def precisions(self, weights: Floats) -> Floats:
        """The precision where each of `RECALLS` is first reached (B, G); NaN without positives or negatives."""
        found, mistaken = self.counts(weights)
        places = _places(found, RECALLS - _ROUNDING, "left")
        true, false = (np.take_along_axis(kind, places, axis=1) for kind in (found, mistaken))
        return _ratio(true, true + false, np.minimum(found[:, -1:], mistaken[:, -1:]))


def _places(counts: Floats, shares: Floats, side: Any) -> Integers:
    """Where each row of rising counts (B, 1 + T) passes these shares (G,) of its last."""
    return np.stack([np.searchsorted(row, shares * row[-1], side=side) for row in counts])


def _ratio(part: Floats, whole: Floats, needed: Floats) -> Floats:
    share: Floats = np.full(part.shape, np.nan)
    np.divide(part, whole, out=share, where=(whole > 0) & (needed > 0))
    return share


def curve_findings(
    curve: Curve, used: dict[str, Any], sample: Sample, name: str, *, seed: int = 0, replicates: int = REPLICATES
) -> list[Finding]:
    """The findings `roc` and `precision_recall` of the class `name`, with bands; `used` is the point in use.

    At each point by itself (Macskassy and Provost 2004: at fixed false-positive rates): by the standard error of
    resamples, of whole groups where there are any, and Student's t on the logit; widened as by Wilson where nothing
    varied.
    """
    times = min(replicates, max(FEWEST_REPLICATES, _WEIGHTS // max(1, sample.n)))
    both = [(curve.sensitivities(w), curve.precisions(w)) for w in resample(sample, times, seed)]
    sensitivities, precisions = (np.concatenate(draws) for draws in zip(*both, strict=True))
    return [_roc(curve, sensitivities, sample, name, used), _precision_recall(curve, precisions, sample, name, used)]


def _roc(curve: Curve, draws: Floats, sample: Sample, name: str, used: dict[str, Any]) -> Finding:
    ones = np.ones((1, sample.n))
    values, (found, mistaken) = curve.sensitivities(ones)[0], curve.counts(ones)
    places = _places(mistaken, FALSE_POSITIVE_RATES + _ROUNDING, "right")[0] - 1
    band = _band(values, draws, np.full(len(values), found[0, -1] * sample.density), sample)
    rows = _rows(("false_positive_rate", "sensitivity"), FALSE_POSITIVE_RATES, values, band, _lowest(curve, places))
    told = next(row for row in rows if row["false_positive_rate"] >= TOLD_RATE)
    summary = (
        f"At a false-positive rate of {percent(told['false_positive_rate'])}, {percent(told['sensitivity'])} of {name} "
        f"are found ({percent(told['lo'])} to {percent(told['hi'])}). {_how(sample)}"
    )
    rate = None if used["specificity"] is None else 1 - used["specificity"]
    own = {"false_positive_rate": rate, "sensitivity": used["sensitivity"], **_limits(used, "sensitivity")}
    return Finding("roc", summary, count=len(curve.order), rows=[*rows, own])


def _precision_recall(curve: Curve, draws: Floats, sample: Sample, name: str, used: dict[str, Any]) -> Finding:
    ones = np.ones((1, sample.n))
    values, (found, mistaken) = curve.precisions(ones)[0], curve.counts(ones)
    places = _places(found, RECALLS - _ROUNDING, "left")[0]
    band = _band(values, draws, (found + mistaken)[0][places] * sample.density, sample)
    rows = _rows(("recall", "precision"), RECALLS, values, band, _lowest(curve, places))
    told = next(row for row in rows if row["recall"] >= TOLD_RECALL)
    summary = (
        f"Where {percent(told['recall'])} of {name} are found, {percent(told['precision'])} of the images called so "
        f"are correct ({percent(told['lo'])} to {percent(told['hi'])}); by chance it would be "
        f"{percent(curve.positive.mean())}. {_how(sample)}"
    )
    own = {"recall": used["sensitivity"], "precision": used["ppv"], **_limits(used, "ppv")}
    return Finding("precision_recall", summary, count=len(curve.order), rows=[*rows, own])


def _rows(
    names: tuple[str, str], across: Floats, up: Floats, band: tuple[Floats, Floats], lowest: Sequence[float | None]
) -> list[dict[str, Any]]:
    columns = (across.tolist(), up.tolist(), band[0].tolist(), band[1].tolist(), lowest)
    keys = (*names, "lo", "hi", "threshold")
    return [{**dict(zip(keys, cells, strict=True)), "operating_point": False} for cells in zip(*columns, strict=True)]


def _limits(used: dict[str, Any], name: str) -> dict[str, Any]:
    limits = {"lo": used[f"{name}_lo"], "hi": used[f"{name}_hi"]}
    return {**limits, "threshold": used["threshold"], "operating_point": True}


def _lowest(curve: Curve, places: Integers) -> list[float | None]:
    """The lowest probability that is answered as positive there; None where nothing is."""
    return [float(curve.probabilities[place - 1]) if place else None for place in places.tolist()]


def _how(sample: Sample) -> str:
    over = "" if sample.groups is None else f" over {sample.units} groups"
    return f"The band holds at each point by itself (95 %, bootstrap{over}), not for the whole curve at once."


def _band(values: Floats, draws: Floats, images: Floats, sample: Sample) -> tuple[Floats, Floats]:
    """Limits (G,) that hold the values, widened as by Wilson where nothing varied; `images` stand behind."""
    if sample.units < 2:
        return np.zeros(len(values)), np.ones(len(values))
    errors = np.nanstd(draws, axis=0) * np.sqrt(sample.units / (sample.units - 1))
    lo, hi = limits_of(values, errors, sample.units - 1, (0.0, 1.0))
    unseen = Z**2 / (np.maximum(images, 1) + Z**2)
    below = np.hypot(values - lo, np.where(values == 1, unseen, 0))
    above = np.hypot(hi - values, np.where(values == 0, unseen, 0))
    return np.maximum(values - below, 0), np.minimum(values + above, 1)
