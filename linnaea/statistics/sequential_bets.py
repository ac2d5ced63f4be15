"""Bets that are fair as long as nothing changes: on the mean of bounded numbers, and on ranks among earlier values."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.special import logsumexp

from linnaea.arrays import Float64, Floats, Integers
from linnaea.errors import DataError

STAKES = (0.9, 0.5, 0.25, 0.12, 0.06, 0.03, 0.016, 0.008, 0.004)  # of the most that could be put on a value
SLOPES = (1.9, 1.0, 0.5, -0.5, -1.0, -1.9)
TAILS = ((0.01, 0.1), (0.05, 0.2), (0.05, 0.5), (0.2, 0.5))  # of the ranks, and the stake on them
FALLING, RISING = "falling", "rising"
NARROWINGS = 50  # halvings of an interval: exact to 1e-15
EDGE = 1e-6
MASK = 2**64 - 1
MOST = 2.0**53


class Bet(Protocol):
    """How is bet on values (n,), and what the claim against which is bet says of them; JSON in and out."""

    @property
    def kinds(self) -> int:
        """How many kinds of bets there are, G."""

    def gains(self, values: Floats, *, learns: bool = True) -> "tuple[Bet, Float64]":
        """Logarithms of what each bet multiplies its money by, (n, G); and the bet for the values to come.

        What changed is not to become usual: while a change lasts, nothing `learns` from values.
        """

    def fresh(self) -> "Bet":
        """As it was before any value."""

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, readable by `bet_from_json`."""


@dataclass(frozen=True)
class MeanBet:
    """Against the claim that numbers in [0, 1] have a mean of at least `bound` (falling), or at most (rising).

    Nothing else is supposed of them (Waudby-Smith and Ramdas 2024, with stakes on a grid). Raises DataError for a bound
    that no mean can pass.
    """

    bound: float
    side: str = FALLING

    def __post_init__(self) -> None:
        if not EDGE <= self.bound <= 1 - EDGE:
            raise DataError(f"the bound of a mean is {self.bound:g}; expected one between 0 and 1.")

    @property
    def kinds(self) -> int:
        """As many as there are stakes."""
        return len(STAKES)

    def gains(self, values: Floats, *, learns: bool = True) -> "tuple[MeanBet, Float64]":
        """Those of values in [0, 1]; there is nothing to learn."""
        return self, _of_mean(values, self.bound, self.side)

    def fresh(self) -> "MeanBet":
        """The same."""
        return self

    def to_json(self) -> dict[str, Any]:
        """The bound and the side."""
        return {"kind": "mean", "bound": self.bound, "side": self.side}


def _of_mean(values: Floats, bound: float, side: str) -> Float64:
    room = (1 - bound) if side == FALLING else bound
    off = (bound - values if side == FALLING else values - bound) / room
    return np.asarray(np.log1p(np.array(STAKES) * off[:, None]))


def mean_limits(values: Floats, miss: float) -> tuple[float, float]:
    """Limits of the mean of independent numbers in [0, 1] (n,), each missed with a probability of at most `miss`.

    They hold for any distribution and any n, by the same bets (Waudby-Smith and Ramdas 2024).
    """
    if not len(values):
        return 0.0, 1.0
    numbers = np.asarray(values, dtype=np.float64)
    return _limit(numbers, miss), 1 - _limit(1 - numbers, miss)


def _limit(values: Float64, miss: float) -> float:
    """The largest mean that the values reject as too low."""
    low, high = 0.0, 1.0
    for _ in range(NARROWINGS):
        middle = (low + high) / 2
        made = logsumexp(_of_mean(values, middle, RISING).sum(axis=0)) - np.log(len(STAKES))
        low, high = (middle, high) if made >= -np.log(miss) else (low, middle)
        if high - low < EDGE / 10:
            break
    return low


@dataclass(frozen=True, eq=False)
class RankBet:
    """Against the claim that values come in an order of chance, those of the reference, `bins`, among them.

    Each is ranked among all before it; if the claim is true, ranks are uniform and independent, whatever the
    distribution and however small the reference (conformal test martingales, Vovk, Nouretdinov and Gammerman 2003).
    Bets are on high values, on low ones, and on the highest. Values are counted in steps of `step`, `counts` at each of
    `bins`, so that memory does not grow with them; `known` are those of the reference alone. Equal ones are ranked by
    chance, drawn from `seed`; `drawn` counts the values.
    """

    step: float
    bins: tuple[int, ...]
    counts: Integers
    known: Mapping[int, int]
    seed: int = 0
    drawn: int = 0

    @classmethod
    def after(cls, reference: Floats, *, seed: int = 0, steps: int = 64) -> "RankBet":
        """One that has seen a reference (n,); a step is a power of two, some `steps` to its interquartile range."""
        sound = np.asarray(reference, dtype=np.float64)
        sound = sound[np.isfinite(sound)]
        if len(sound) < 2:
            raise DataError(f"the reference has {len(sound)} values; expected two or more to rank others among.")
        spread = float(np.subtract(*np.quantile(sound, [0.75, 0.25]))) or float(np.ptp(sound)) or 1.0
        step = float(2.0 ** np.floor(np.log2(spread / steps)))
        bins, counts = np.unique(_in_steps(sound, step), return_counts=True)
        known = dict(zip(bins.tolist(), counts.tolist(), strict=True))
        return cls(step, tuple(known), counts.astype(np.int64), known, seed)

    @property
    def kinds(self) -> int:
        """On slopes and on tails."""
        return len(SLOPES) + len(TAILS)

    def ranks(self, values: Floats, *, learns: bool = True) -> "tuple[RankBet, Float64]":
        """The share of values that are higher than each (n,), itself and equal ones by chance; and what comes after."""
        bins, counts, total = list(self.bins), self.counts.tolist(), int(self.counts.sum())
        found = np.empty(len(values))
        for place, number in enumerate(_in_steps(np.asarray(values, dtype=np.float64), self.step).tolist()):
            at = bisect_left(bins, number)
            there = at < len(bins) and bins[at] == number
            higher, equal = sum(counts[at + there :]), counts[at] if there else 0
            found[place] = (higher + _chance(self.seed, self.drawn + place) * (equal + 1)) / (total + 1)
            if learns and there:
                counts[at] += 1
            elif learns:
                bins.insert(at, number)
                counts.insert(at, 1)
            total += learns
        after = replace(self, bins=tuple(bins), counts=np.array(counts, dtype=np.int64), drawn=self.drawn + len(values))
        return after, found

    def gains(self, values: Floats, *, learns: bool = True) -> "tuple[RankBet, Float64]":
        """Those of numbers."""
        after, ranks = self.ranks(values, learns=learns)
        return after, of_ranks(ranks)

    def fresh(self) -> "RankBet":
        """With the reference alone."""
        return replace(self, bins=tuple(self.known), counts=np.array(list(self.known.values()), dtype=np.int64))

    def to_json(self) -> dict[str, Any]:
        """The counts of the reference, and of what came since."""
        told = {"step": self.step, "bins": list(self.bins), "counts": self.counts.tolist()}
        known = {"known": [list(self.known), list(self.known.values())], "seed": self.seed, "drawn": self.drawn}
        return {"kind": "rank", **told, **known}


def _in_steps(values: Float64, step: float) -> Integers:
    return np.clip(np.floor(values / step), -MOST, MOST).astype(np.int64)


def of_ranks(ranks: Floats) -> Float64:
    """Gains (n, G) of the bets on ranks (n,) in [0, 1], each of which a uniform one leaves as it is on average."""
    slopes = np.log1p(np.array(SLOPES) * (0.5 - ranks[:, None]))
    among, stake = np.array(TAILS).T
    tails = np.log(1 - stake + stake / among * (ranks[:, None] <= among))
    return np.asarray(np.hstack([slopes, tails]))


def _chance(seed: int, number: int) -> float:
    """A number in (0, 1) for the place in a stream, the same again after a restart (SplitMix64)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 + 0x9E3779B97F4A7C15) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return ((mixed ^ (mixed >> 31)) + 0.5) / 2.0**64


def bet_from_json(content: Mapping[str, Any]) -> Bet:
    """The bet that `to_json` wrote."""
    if content["kind"] == "mean":
        return MeanBet(content["bound"], content["side"])
    counts, known = np.array(content["counts"], dtype=np.int64), dict(zip(*content["known"], strict=True))
    return RankBet(content["step"], tuple(content["bins"]), counts, known, content["seed"], content["drawn"])
