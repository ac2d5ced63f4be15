"""Evidence that may be looked at after every image: money made by betting against the claim that nothing has changed.

Who bets at fair odds gains nothing on average, however long and whenever the bets are looked at. So a claim under which
the bets would be fair is in doubt once they have made much of one unit of money (Ville's inequality: it is multiplied
by 100 at any time with a probability of at most 1 %). Everything here is a logarithm, and there are several kinds of
bets G, because nobody knows beforehand which of them will be good ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Float64, Integers

SCALE = 100.0  # images after which the money is handed out more slowly
MOST = 700.0


@dataclass(frozen=True, eq=False)
class Course:
    """How bets on n values went, after each of them.

    `capital` (n,) is the logarithm of what became of one unit, part of which is put on each start (an e-process: it
    reaches log(1 / a) at any time with a probability of at most a). `detector` (n,) is the logarithm of what becomes of
    one unit on each start (the Shiryaev-Roberts e-detector of Shin, Ramdas and Rinaldo 2024: that it reaches log(b)
    takes b values on average, or more).
    """

    capital: Float64
    detector: Float64


@dataclass(frozen=True, eq=False)
class Capital:
    """What bets of G kinds have made up to now, as logarithms (G,); small, JSON in and out, so that it can go on.

    `spent`: of the part of one unit that was put on a start at each value; `running`: of one unit on each start;
    `best`: from the best start, whose number, from 0, is in `starts`: where it changed, if it did (CUSUM, Page 1954).
    `steps` counts the values since the unit was first there,
    `told` all values ever.
    """

    spent: Float64
    running: Float64
    best: Float64
    starts: Integers
    steps: int = 0
    told: int = 0

    @classmethod
    def new(cls, bets: int, told: int = 0) -> "Capital":
        """One unit of money, none of which was put on anything."""
        nothing = np.full(bets, -np.inf)
        return cls(nothing, nothing, nothing, np.full(bets, told), 0, told)

    def after(self, gains: Float64) -> tuple["Capital", Course]:
        """What it is after bets whose logarithmic gains are (n, G), and how it came to that; the same in any parts."""
        count = len(gains)
        if not count:
            return self, Course(np.zeros(0), np.zeros(0))
        whole = np.cumsum(gains, axis=0)
        before = whole - gains
        steps = self.steps + np.arange(count + 1)
        left = _left(steps)
        put = np.log(left[:-1] - left[1:])[:, None]
        spent = whole + _sum(self.spent, put - before)
        running = whole + _sum(self.running, -before)
        reached = np.maximum.accumulate(np.vstack([self.best, -before]), axis=0)
        newer = -before >= reached[:-1]  # of starts that are equally good the latest
        numbers = np.where(newer, self.told + np.arange(count)[:, None], self.starts)
        starts = np.maximum.accumulate(numbers, axis=0)
        best = whole + reached[1:]
        now = Capital(spent[-1], running[-1], best[-1], starts[-1], self.steps + count, self.told + count)
        capital = np.logaddexp(_mean(spent), np.log(left[1:]))
        return now, Course(capital, _mean(running))

    @property
    def evidence(self) -> float:
        """What has become of one unit."""
        left = np.log(_left(np.array([self.steps])))[0]
        return _money(np.logaddexp(_mean(self.spent), left))

    @property
    def detected(self) -> float:
        """What has become of one unit on each start."""
        return _money(_mean(self.running))

    def looking_anew(self) -> "Capital":
        """The same, but what looks for a change begins again; nothing that was spent comes back."""
        fresh = Capital.new(len(self.spent), self.told)
        return Capital(self.spent, fresh.running, fresh.best, fresh.starts, self.steps, self.told)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, readable by `from_json`."""
        logs = {name: _to_json(getattr(self, name)) for name in ("spent", "running", "best")}
        return logs | {"starts": self.starts.tolist(), "steps": self.steps, "told": self.told}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Capital":
        """The inverse of `to_json`."""
        spent, running, best = (_from_json(content[name]) for name in ("spent", "running", "best"))
        starts = np.array(content["starts"], dtype=np.int64)
        return cls(spent, running, best, starts, content["steps"], content["told"])


def _money(logarithm: float) -> float:
    """Not as a logarithm; no more than a file of JSON can hold."""
    return float(np.exp(min(float(logarithm), MOST)))


def _left(steps: Integers) -> Float64:
    """What of the unit is not put on anything after so many values; it falls so slowly that late starts get a share."""
    return np.asarray(1 / np.log2(2 + steps / SCALE))


def _mean(logs: Float64) -> Any:
    """The logarithm of the mean over the bets (..., G)."""
    return np.logaddexp.reduce(logs, axis=-1) - np.log(logs.shape[-1])


def _sum(first: Float64, logs: Float64) -> Float64:
    """The logarithm of the sum of `first` (G,) and all rows up to each (n, G)."""
    return np.asarray(np.logaddexp.accumulate(np.vstack([first, logs]), axis=0)[1:])


def _to_json(values: Float64) -> list[float | None]:
    return [None if np.isneginf(value) else value for value in values.tolist()]


def _from_json(values: list[float | None]) -> Float64:
    return np.array([-np.inf if value is None else value for value in values], dtype=np.float64)
