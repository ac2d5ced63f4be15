"""Class by class: how much of each is found, and which two are taken for one another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from linnaea.arrays import Flags, Integers
from linnaea.errors import UsageError, suggest
from linnaea.evidence.gate.contract import RULES, Case, Judgement, NotDoneError
from linnaea.evidence.gate.held import AT_LEAST, AT_MOST, Held, held
from linnaea.evidence.gate.parameters import Parameter
from linnaea.evidence.metrics import LabelScores, Scores, scores_of
from linnaea.evidence.uncertainty import sample_of
from linnaea.finding import Estimate
from linnaea.predictions import Predictions
from linnaea.statistics.shares import Shares, shares

FILE = "predictions/test.parquet"
LEVEL = 0.05


@dataclass(frozen=True)
class Limited:
    """Shares (C,) with the usual limits, and with those that hold for all of them at once (Bonferroni)."""

    usual: Shares
    surely: Shares
    method: str

    @classmethod
    def of(cls, places: Integers, right: Flags, count: int, units: Integers | None, tests: int = 0) -> "Limited":
        """The share of images at each of `count` places (m,) that are `right` (m,); one at -1 is nowhere.

        `tests` are how many shares these stand for, where that is more than the places.
        """
        there = places >= 0
        given = (places[there], right[there].astype(np.float64), count, None if units is None else units[there])
        level = LEVEL / max(1, tests, len(np.unique(places[there])))
        method = "Wilson" if units is None else f"Wilson over {len(np.unique(units[there])):,} groups"
        return cls(shares(*given), shares(*given, confidence=1 - level), method)

    def estimate(self, place: int) -> Estimate:
        """One of them with the usual limits."""
        told = self.usual.take([place])
        value, lo, hi, n = (float(values[0]) for values in (told.value, told.lo, told.hi, told.images))
        if not n:
            return Estimate(None, None, None, 0, "not defined: no images")
        if np.isnan(lo):
            return Estimate(value, None, None, int(n), "no interval: all of one group")
        return Estimate(value, lo, hi, int(n), self.method)

    def limits(self, place: int) -> tuple[float, float] | None:
        """Those that hold for all at once, where there are any."""
        lo, hi = float(self.surely.lo[place]), float(self.surely.hi[place])
        return None if np.isnan(lo) else (lo, hi)


@RULES.register("recall_floor", title="Least recall of each class", order=70)
def recall_floor(
    case: Case,
    *,
    least: Annotated[float, Parameter("Least share of each class's images that is recognised.", 0, 1)] = 0.7,
    classes: Annotated[Mapping[str, float], Parameter("Another least share for classes by name.", 0, 1)] = {},
) -> Judgement:
    """Of every class enough is found, by the lower end of its interval."""
    _require_known(classes, case.classes)
    answered = case.predictions
    limited = recalls_of(answered)
    facts = []
    for place, name in enumerate(answered.classes):
        floor = classes.get(name, least)
        noun = (f"image of {name}", f"images of {name}")
        figure = limited.estimate(place)
        facts.append(Held(f"the recall of {name}", figure, AT_LEAST, floor, FILE, noun, limited.limits(place)))
    shown = f"Shown for all {len(facts)} classes."
    mend = "Add training images of it, balance the classes (`linnaea train --balance`), or mend its labels."
    return held(facts, mend, shown)


def recalls_of(answered: Predictions) -> Limited:
    """The recall of each class (K,), whole groups together where there are any."""
    scores, groups = scores_of(answered), sample_of(answered).groups
    if isinstance(scores, LabelScores):
        rows, labels = np.nonzero(scores.there)
        units = None if groups is None else groups[rows]
        return Limited.of(labels, scores.named[rows, labels], scores.classes, units)
    assert isinstance(scores, Scores), "with one label per image"
    return Limited.of(scores.targets, scores.hits, scores.classes, groups)


def _require_known(given: Mapping[str, float], classes: tuple[str, ...]) -> None:
    for name in given:
        if name not in classes:
            raise UsageError(
                f"recall_floor.classes names {name!r}, which is no class of the run: expected some of "
                f"{', '.join(classes[:12])}.{suggest(name, classes)}"
            )


@RULES.register("confusion", title="No class taken for another", order=80)
def confusion(
    case: Case,
    *,
    most: Annotated[float, Parameter("Most of a class's images that may be taken for one other class.", 0, 1)] = 0.3,
) -> Judgement:
    """No class is often taken for one and the same other class, by the confusion matrix on the test split."""
    answered = case.predictions
    scores = scores_of(answered)
    if not isinstance(scores, Scores):
        raise NotDoneError(
            "an image may show several labels, of which none is taken for another.",
            "Waive this rule, with that reason.",
        )
    groups = sample_of(answered).groups
    facts = [
        _taken(answered.classes, truth, scores, groups, most)
        for truth in range(scores.classes)
        if (scores.targets == truth).any()
    ]
    mend = "Look at these images in the report; add some of both classes, or mend their labels."
    return held(facts, mend, f"No class of {len(facts)} is taken for another too often.")


def _taken(names: tuple[str, ...], truth: int, scores: Scores, groups: Integers | None, most: float) -> Held:
    """The share of a class's images that is taken for the class for which it is taken most."""
    own = scores.targets == truth
    taken = np.bincount(scores.answers[own & (scores.answers >= 0)], minlength=len(names))
    taken[truth] = 0
    other = int(taken.argmax())
    pairs = len(names) * (len(names) - 1)  # it is the worst of so many
    limited = Limited.of(np.where(own, 0, -1), scores.answers == other, 1, groups, tests=pairs)
    what = f"the share of {names[truth]} taken for {names[other] if taken.any() else 'any other class'}"
    if not taken.any():
        limited = Limited.of(np.where(own, 0, -1), np.zeros(len(own), dtype=bool), 1, groups, tests=pairs)
    noun = (f"image of {names[truth]}", f"images of {names[truth]}")
    return Held(what, limited.estimate(0), AT_MOST, most, FILE, noun, limited.limits(0))
