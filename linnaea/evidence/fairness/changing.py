"""What another way to answer changes in each group of the same images, where the groups are picked by these images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from linnaea.arrays import Floats, Integers
from linnaea.statistics.between_groups import largest_difference, means_of
from linnaea.statistics.paired import bonett_price, sign_flips

ALL = "(all images)"
FEWEST = 10  # images of a group that is judged
ERROR = 0.05
FLIPS = 2_000
TINY = 1e-12


@dataclass(frozen=True)
class Change:
    """By how much the share of right answers rose, -1 to 1, with limits that hold for all changes of a case at once.

    `p` is that of no change, corrected for their number; limits are None where all images belong to one subject.
    """

    value: float
    lo: float | None
    hi: float | None
    p: float

    @property
    def shown(self) -> bool:
        """Whether chance alone would hardly make such a change."""
        return self.p <= ERROR and self.lo is not None and self.hi is not None and (self.lo > 0 or self.hi < 0)

    def told(self, where: str) -> str:
        """In a sentence; `where` is an adverb such as "over all images"."""
        if self.shown:
            what = "gains" if self.value > 0 else "costs"
            lo, hi = sorted((abs(self.lo or 0.0), abs(self.hi or 0.0)))
            limits = f"{100 * lo:.1f} to {100 * hi:.1f}, p = {self.p:.2g}"
            return f"{where[0].upper()}{where[1:]} it {what} {100 * abs(self.value):.1f} points ({limits})."
        limits = "no limits" if self.lo is None or self.hi is None else f"{100 * self.lo:+.1f} to {100 * self.hi:+.1f}"
        return f"That anything changes {where} is not shown ({100 * self.value:+.1f} points, {limits})."

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self) | {"shown": self.shown}


@dataclass(frozen=True, eq=False)
class Case:
    """Images (n,) in groups `places` (n,) of these names; `units` (n,) number what was drawn, None for the images."""

    places: Integers
    names: tuple[str, ...]
    units: Integers | None = None

    @property
    def judged(self) -> list[int]:
        """The groups of 10 images or more; the largest one in any case."""
        images = np.bincount(self.places, minlength=len(self.names))
        return np.flatnonzero(images >= min(FEWEST, images.max())).tolist()

    def worth(self, way: str, right: Floats) -> dict[str, Any]:
        """What answers are worth that are `right` (n,): over all images, and in the worst group.

        The limits of the worst group are for the lowest true share of all judged groups, whichever is lowest.
        """
        every = means_of(right, np.zeros(len(right), dtype=np.int64), 1, self.units)
        judged = self.judged
        confidence = 0.95 ** (1 / len(judged))
        groups = means_of(right, self.places, len(self.names), self.units, confidence=confidence)
        worst = judged[int(groups.value[judged].argmin())]
        return {
            "way": way,
            "accuracy": float(every.value[0]),
            "accuracy_lo": _number(every.lo[0]),
            "accuracy_hi": _number(every.hi[0]),
            "worst": float(groups.value[worst]),
            "worst_lo": _number(groups.lo[judged].min()),
            "worst_hi": _number(groups.hi[judged].min()),
            "group": self.names[worst],
            "gap": _number(largest_difference(groups)[0]),
            "n": len(right),
        }

    def changes(self, gain: Floats) -> Mapping[str, Change]:
        """What a change of each image (n,), 1 where only the new answer is right, is over all and in each group."""
        judged = self.judged
        count = 1 + len(judged)
        told = {}
        for name, rows in ((ALL, np.arange(len(gain))), *((self.names[at], self._of(at)) for at in judged)):
            units = None if self.units is None else np.unique(self.units[rows], return_inverse=True)[1]
            lo, hi = _limits(gain[rows], units, ERROR / count)
            sums = gain[rows] if units is None else np.bincount(units, weights=gain[rows]).astype(np.float64)
            p = min(1.0, count * sign_flips(sums, draws=FLIPS))
            told[name] = Change(float(gain[rows].mean()), _number(lo), _number(hi), p)
        return told

    def _of(self, group: int) -> Integers:
        return np.flatnonzero(self.places == group)


def _limits(gain: Floats, units: Integers | None, error: float) -> tuple[float, float]:
    """The limits of a mean change (n,), each 1, 0 or -1, that hold but for a share `error` of samples.

    Those of Bonett and Price; over `units` (n,) Student's, but where units do not differ, as of so many images.
    """
    if units is None:
        return bonett_price(int((gain < 0).sum()), int((gain > 0).sum()), len(gain), error=error)
    drawn = int(units.max()) + 1
    if drawn < 2:
        return float("nan"), float("nan")
    mean = float(gain.mean())
    off = np.bincount(units, weights=gain - mean)
    spread = float(np.sqrt(np.square(off).sum() * drawn / (drawn - 1))) / len(gain)
    if spread < TINY:
        return bonett_price(drawn * (mean < 0), drawn * (mean > 0), drawn, error=error)
    half = float(stdtrit(drawn - 1, 1 - error / 2)) * spread
    return max(mean - half, -1.0), min(mean + half, 1.0)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
