"""Alarms of tests that are looked at after every image: when one begins, becomes certain, is over, and since when."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from linnaea.arrays import Float64, Floats
from linnaea.errors import DataError
from linnaea.statistics.sequential import Capital
from linnaea.statistics.sequential_bets import EDGE, FALLING, Bet, MeanBet, RankBet, bet_from_json, mean_limits

SUSPECTED, CERTAIN, RESOLVED = "suspected", "certain", "resolved"
PATIENCE = 3  # times as long as it took to be noticed, a change must not be seen again to be over
AT_ONCE, FEWER = 256, 32  # values whose bets are settled together; while a change is there, which is seen often


@dataclass(frozen=True)
class Guarantee:
    """What is promised where nothing changes, and when a change is over.

    A test is `certain` of a change, as long as none comes, with a probability of at most `rate`, however long it runs;
    it suspects one after `run_length` values on average, or later. A change is over when nothing was suspected for
    `quiet` values, or for three times as many as it took to be noticed.
    """

    rate: float = 0.01
    run_length: float = 10_000.0
    quiet: int = 500

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise DataError(f"the rate of false alarms is {self.rate:g}; expected one between 0 and 1, such as 0.01.")
        if not self.run_length > 1 or self.quiet < 1:
            raise DataError(
                f"the run length is {self.run_length:g} and the quiet time {self.quiet}; expected more than 1 and at "
                "least 1."
            )


@dataclass(frozen=True)
class Change:
    """What a test of one stream has to say: it `suspected` a change, is `certain`, or what it saw is `resolved`.

    `at` is the number of the value that told it, from 0, and `time` its time; `since` and `since_time` when the change
    is estimated to have begun; `mean` that of the values since then, `expected` that of the reference. `evidence` is
    what one unit of money became: 100 where chance alone would do so once in a hundred streams at most.
    """

    stream: str
    status: str
    at: int
    time: float
    since: int
    since_time: float
    evidence: float
    mean: float
    expected: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Change":
        """The inverse of `to_json`."""
        return cls(**content)


@dataclass(frozen=True, eq=False)
class Since:
    """What is known from the best start of each bet on: the sum of all values before it, and its time (G,)."""

    total: float
    sums: Float64
    times: Float64

    @classmethod
    def new(cls, bets: int) -> "Since":
        """Before any value."""
        return cls(0.0, np.zeros(bets), np.zeros(bets))

    def after(self, values: Float64, times: Floats, capital: Capital) -> "Since":
        """With further values (n,) and their times, for the starts of the capital after them."""
        places = capital.starts - (capital.told - len(values))
        new = places >= 0
        at = np.where(new, places, 0)
        before = self.total + np.cumsum(values) - values
        sums, begun = np.where(new, before[at], self.sums), np.where(new, times[at], self.times)
        return Since(self.total + float(values.sum()), sums, begun)


@dataclass(frozen=True, eq=False)
class Stream:
    """A stream of values under test: how is bet, what the bets have made, and whether an alarm is open.

    `expected` is the mean of the reference, `detectable` that which a mean must pass to be noticed at all: for less the
    reference is too small. `alarm` is the last change that was told and is not over, `fired` the number of the value at
    which it was last seen. Immutable; small, JSON in and out, so that a restart goes on where it was.
    """

    name: str
    bet: Bet
    guarantee: Guarantee
    expected: float
    detectable: float
    capital: Capital
    since: Since
    alarm: Change | None = None
    fired: int = 0

    @classmethod
    def _new(cls, name: str, bet: Bet, guarantee: Guarantee, expected: float, detectable: float) -> "Stream":
        return cls(name, bet, guarantee, expected, detectable, Capital.new(bet.kinds), Since.new(bet.kinds))

    @classmethod
    def of_mean(cls, name: str, reference: Floats, side: str, guarantee: Guarantee, *, most: float = 1.0) -> "Stream":
        """Whether the mean falls below, or rises above, what the reference (n,), numbers in [0, 1], says it may be.

        Half of the rate is for a reference whose own mean is further off than its limits say. A mean of `most` or more
        is never too low, whatever the reference. Raises DataError for one of fewer than two values.
        """
        if len(reference) < 2:
            raise DataError(f"the reference of {name} has {len(reference)} values; expected two or more.")
        half = guarantee.rate / 2
        bound = mean_limits(reference, half)[0 if side == FALLING else 1]
        mean = float(np.mean(reference))
        bound = min(bound, most)
        return cls.beyond(name, bound, side, replace(guarantee, rate=half), expected=mean)

    @classmethod
    def beyond(
        cls, name: str, bound: float, side: str, guarantee: Guarantee, *, expected: float | None = None
    ) -> "Stream":
        """Whether the mean of numbers in [0, 1] falls below a bound that is known, or rises above it."""
        bound = min(max(bound, EDGE), 1 - EDGE)
        return cls._new(name, MeanBet(bound, side), guarantee, bound if expected is None else expected, bound)

    @classmethod
    def of_ranks(cls, name: str, reference: Floats, guarantee: Guarantee, *, seed: int = 0) -> "Stream":
        """Whether values are distributed as those of the reference (n,), and as those before them."""
        mean = float(np.mean(reference))
        return cls._new(name, RankBet.after(reference, seed=seed), guarantee, mean, mean)

    @property
    def evidence(self) -> float:
        """What has become of one unit of money, part of which was put on each start."""
        return self.capital.evidence

    def told(self, values: Floats, times: Floats) -> "tuple[Stream, list[Change]]":
        """After further values (n,) and their times (n,), and what there is to say; the same in any parts.

        Times are told again and never reckoned with, so that a clock may jump.
        """
        stream, changes, start = self, list[Change](), 0
        while start < len(values):
            part = np.asarray(values[start : start + (AT_ONCE if stream.alarm is None else FEWER)], dtype=np.float64)
            learns = stream.alarm is None or stream.alarm.status != CERTAIN
            bet, gains = stream.bet.gains(part, learns=learns)
            count, status = stream._first(gains)
            if count < len(part):
                bet, gains = stream.bet.gains(part[:count], learns=learns)
            stream = replace(stream, bet=bet)._after(part[:count], times[start : start + count], gains)
            start += count
            if status is not None:
                stream, news = stream._saying(status, float(times[start - 1]))
                changes += news
        return stream, changes

    def _first(self, gains: Float64) -> tuple[int, str | None]:
        """How many values it is to the first that has anything to say, and what that is; None at the end."""
        if self.alarm is not None:
            gains = gains[: self.fired + self._patience(self.alarm) - (self.capital.told - 1)]
        after, course = self.capital.after(gains)
        sure = (course.capital >= -np.log(self.guarantee.rate)) & (self.alarm is None or self.alarm.status != CERTAIN)
        hits = np.flatnonzero(sure | (course.detector >= np.log(self.guarantee.run_length)))
        if len(hits):
            return int(hits[0]) + 1, CERTAIN if sure[hits[0]] else SUSPECTED
        over = self.alarm is not None and after.told - 1 == self.fired + self._patience(self.alarm)
        return len(gains), RESOLVED if over else None

    def _patience(self, alarm: Change) -> int:
        return max(self.guarantee.quiet, PATIENCE * (alarm.at - alarm.since + 1))

    def _after(self, values: Float64, times: Floats, gains: Float64) -> "Stream":
        capital, _ = self.capital.after(gains)
        return replace(self, capital=capital, since=self.since.after(values, times, capital))

    def _saying(self, status: str, time: float) -> "tuple[Stream, list[Change]]":
        """With what the last value told: a change is told once when it is suspected, once when it is certain."""
        at = self.capital.told - 1
        if status == RESOLVED and self.alarm is not None:
            told = replace(self.alarm, status=RESOLVED, at=at, time=time)
            if self.alarm.status != CERTAIN:
                return replace(self, alarm=None), [told]
            fresh = Capital.new(self.bet.kinds, self.capital.told)
            return replace(self, alarm=None, capital=fresh, bet=self.bet.fresh()), [told]
        known = self.alarm is not None and (status == SUSPECTED or self.alarm.status == CERTAIN)
        seen = replace(self, capital=self.capital.looking_anew(), fired=at)
        if known:
            return seen, []
        change = self._change(status, at, time)
        if self.alarm is not None:  # it began when it was first suspected
            change = replace(change, since=self.alarm.since, since_time=self.alarm.since_time, mean=self.alarm.mean)
        return replace(seen, alarm=change), [change]

    def _change(self, status: str, at: int, time: float) -> Change:
        best = int(self.capital.best.argmax())
        since = int(self.capital.starts[best])
        mean = (self.since.total - float(self.since.sums[best])) / (at + 1 - since)
        evidence = self.capital.evidence if status == CERTAIN else self.capital.detected
        return Change(self.name, status, at, time, since, float(self.since.times[best]), evidence, mean, self.expected)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, readable by `from_json`."""
        since = {"total": self.since.total, "sums": self.since.sums.tolist(), "times": self.since.times.tolist()}
        return {
            "name": self.name,
            "bet": self.bet.to_json(),
            "guarantee": asdict(self.guarantee),
            "expected": self.expected,
            "detectable": self.detectable,
            "capital": self.capital.to_json(),
            "since": since,
            "alarm": None if self.alarm is None else self.alarm.to_json(),
            "fired": self.fired,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Stream":
        """The inverse of `to_json`."""
        since, alarm = content["since"], content["alarm"]
        return cls(
            content["name"],
            bet_from_json(content["bet"]),
            Guarantee(**content["guarantee"]),
            content["expected"],
            content["detectable"],
            Capital.from_json(content["capital"]),
            Since(since["total"], np.array(since["sums"]), np.array(since["times"])),
            None if alarm is None else Change.from_json(alarm),
            content["fired"],
        )
