"""Promises: whether images that nothing was chosen by show that what was asked for is kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.evidence.outlook import images_to_aim_for
from linnaea.evidence.tables import percent
from linnaea.finding import PROMISE, Estimate, Finding
from linnaea.runtime.words import counted, in_number

MISSED, UNDECIDED, KEPT, UNTESTED = "missed", "undecided", "kept", "not tested"
GRAVEST_FIRST = (MISSED, UNDECIDED, KEPT)
AT_LEAST, AT_MOST, MORE_THAN = "at least", "at most", "more than"
MANY_LABELS = 20
BY_CHANCE = 0.025  # of what is just kept lies wholly below its bound by 95 % intervals


@dataclass(frozen=True)
class Promise:
    """A figure and what it was promised to be: `side` is at least, at most or more than `bound`.

    `what` is the figure in words, `noun` what is counted, in singular and plural; `of` is the class it is about, if
    it is about one. `is_share` says that it is a share, to be told in percent.
    """

    what: str
    noun: tuple[str, str]
    side: str
    bound: float
    figure: Estimate
    of: str | None = None
    is_share: bool = True

    @property
    def outcome(self) -> str:
        """Kept where the whole interval lies on the right side of the bound, missed on the wrong one."""
        lo, hi = self.figure.lo, self.figure.hi
        if lo is None or hi is None:
            return UNDECIDED
        above, below = lo > self.bound, hi < self.bound
        right, wrong = (below, above) if self.side == AT_MOST else (above, below)
        return KEPT if right else MISSED if wrong else UNDECIDED

    @property
    def to_decide(self) -> int | None:
        """About how many images would decide it, in two digits; None where it is decided or no number would."""
        if self.outcome != UNDECIDED:
            return None
        return images_to_aim_for(self.figure, self.bound, is_share=self.is_share)

    @property
    def distance(self) -> float:
        """How far the figure lies on the wrong side of the bound; below 0 on the right side."""
        value = self.bound if self.figure.value is None else self.figure.value
        return value - self.bound if self.side == AT_MOST else self.bound - value

    def told(self, tested: bool) -> str:
        """What is known of it, as a sentence without its outcome."""
        asked = f"and {self.side} {self._number(self.bound, whole=True)} was promised"
        figure, noun = self.figure, self.noun
        if figure.value is None:
            return f"there are no {noun[1]} to tell the {self.what} from, {asked}."
        interval = "no interval"
        if figure.lo is not None and figure.hi is not None:
            interval = f"{self._number(figure.lo)} to {self._number(figure.hi)}".replace(" % to", " to")
        where = "" if tested else "on these images, by which it was chosen, "
        return (
            f"{where}the {self.what} is {self._number(figure.value)} ({interval.removesuffix(' %')}) of "
            f"{counted(figure.n, *noun)}, {asked}{self._outlook() if tested else ''}."
        )

    def _outlook(self) -> str:
        if self.outcome != UNDECIDED:
            return ""
        if self.to_decide is None:
            return "; no realistic number of images would decide it"
        return f"; should it stay there, about {counted(self.to_decide, *self.noun)} would decide it"

    def _number(self, value: float, *, whole: bool = False) -> str:
        if not self.is_share:
            return f"{value:.4g}" if whole else f"{value:.3f}"
        return f"{100 * value:.4g} %" if whole else percent(value)

    def row(self) -> dict[str, Any]:
        """The promise as a row of a table."""
        of = {} if self.of is None else {"of": self.of}
        ends = {"value": self.figure.value, "lo": self.figure.lo, "hi": self.figure.hi, "n": self.figure.n}
        promised = {"promised": self.side, "bound": self.bound}
        return {**of, **promised, **ends, "outcome": self.outcome, "images_to_decide": self.to_decide}


def findings_of(promises: Mapping[str, Sequence[Promise]], *, tested: bool = True) -> list[Finding]:
    """A finding for each name, `promise_<name>`: first the outcome, then the figure, its interval and n.

    Promises of one name are about one class each: the worst of them is told. `tested` says that they are judged on
    images by which nothing was chosen; others decide nothing.
    """
    return [_finding(name, kept, tested) for name, kept in promises.items() if kept]


def _finding(name: str, promises: Sequence[Promise], tested: bool) -> Finding:
    worst = min(promises, key=lambda promise: (GRAVEST_FIRST.index(promise.outcome), -promise.distance))
    rows = [promise.row() if tested else promise.row() | {"outcome": UNTESTED} for promise in promises]
    outcomes = [row["outcome"] for row in rows]
    summary = f"{_outcome_of_all(outcomes)}: {worst.told(tested)}{_by_chance(outcomes)}"
    severity = "warning" if MISSED in outcomes else "info"
    return Finding(f"{PROMISE}{name}", summary, severity, worst.figure.n, worst.figure, rows)


def _outcome_of_all(outcomes: Sequence[str]) -> str:
    """The gravest outcome, and where there are several, for how many labels."""
    order = [name for name in (*GRAVEST_FIRST, UNTESTED) if name in outcomes]
    if len(outcomes) == 1:
        return order[0].capitalize()
    if len(order) == 1:
        return f"{order[0].capitalize()} for all {len(outcomes)} labels, of which the weakest"
    others = ", ".join(f"{name} for {outcomes.count(name)}" for name in order[1:])
    which = "the worst" if order[0] == MISSED else "among them"
    return f"{order[0].capitalize()} for {outcomes.count(order[0])} of {len(outcomes)} labels ({others}), {which}"


def _by_chance(outcomes: Sequence[str]) -> str:
    if MISSED not in outcomes or len(outcomes) < MANY_LABELS:
        return ""
    expected = math.ceil(BY_CHANCE * len(outcomes))
    return (
        f" Of {len(outcomes)} labels that just keep the promise, up to {expected} "
        f"{in_number(expected, 'seems', 'seem')} to miss it by chance."
    )
