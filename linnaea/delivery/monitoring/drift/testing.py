"""All drift tests of one window, with one rate of false alarms between them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift
from linnaea.delivery.monitoring.seen import Seen
from linnaea.errors import UsageError
from linnaea.statistics.exchanging import LEAST_RATE, Exchange, draws_for, judge_jointly

SMALLEST = 10  # images of a sample that is tested


@dataclass(frozen=True, eq=False)
class Tested:
    """What the tests of one window found, by name; `p` is that of no difference at all, `adjusted` that of each test.

    `left_out` are tests that had nothing to compare, with the reason. `alarm` says whether `p` is within the rate.
    """

    found: Mapping[str, Drift]
    p: float
    adjusted: Mapping[str, float]
    left_out: Mapping[str, str]
    alarm: bool

    @property
    def changed(self) -> list[str]:
        """The names of tests, the surest first: those within the rate where there is an alarm."""
        return sorted(self.found, key=lambda name: (self.adjusted[name], -self.found[name].statistic))


def require_rate(rate: float) -> None:
    """Raise UsageError for a rate of false alarms so small that no window, whatever it held, would be an alarm."""
    if rate < LEAST_RATE:
        raise UsageError(
            f"the rate of false alarms is {rate:g}, and no window would ever be an alarm: the drift tests tell chances "
            f"down to {LEAST_RATE:g}. Give that or more."
        )


def too_small(reference: Seen, window: Seen) -> str:
    """Why a window cannot be tested, in words; empty where it can."""
    for name, seen in (("window", window), ("reference", reference)):
        if len(seen) < SMALLEST:
            return f"the {name} has {len(seen)} images, and fewer than {SMALLEST} are not tested"
    return ""


def judge_window(reference: Seen, window: Seen, classes: tuple[str, ...], *, rate: float, seed: int = 0) -> Tested:
    """Compare a window with a reference, both of enough images, by every test that has something to compare.

    Where both come from one source in no particular order, there is an alarm in the share `rate` of windows, whichever
    tests take part: p-values are those of the rarest of all statistics in the same draws.
    """
    exchange = Exchange.drawn(len(reference), len(window), draws_for(rate), seed)
    compared = Comparison(reference, window, classes, exchange, seed)
    found, left_out = dict[str, Drift](), dict[str, str]()
    for name, test in DRIFT_TESTS.items():
        needs = DRIFT_TESTS.about(name).capabilities.get("needs", ())
        assert isinstance(needs, tuple), f"drift test {name}: needs is a tuple of columns"
        lack = compared.lacks(needs)
        if lack:
            left_out[name] = f"there are no {', '.join(lack)}".replace("_", " ")
        else:
            found[name] = test(compared)
    joint = judge_jointly([drift.values for drift in found.values()])
    adjusted = dict(zip(found, np.asarray(joint.adjusted).tolist(), strict=True))
    return Tested(found, joint.p, adjusted, left_out, joint.p <= rate)
