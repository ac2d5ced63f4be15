"""No worse than by a margin: tests that turn the burden of proof around, and how many images would decide."""

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtr

from linnaea.statistics.spread import Z

POWER, LEVEL = 0.8, 0.05
EQUIVALENT, NOT_WORSE, NOT_BETTER, UNDECIDED = "equivalent", "not worse", "not better", "undecided"
WORSE, BETTER = "worse by more", "better by more"
VERDICTS = (EQUIVALENT, NOT_WORSE, NOT_BETTER, WORSE, BETTER, UNDECIDED)
_Z_POWER, _Z_ONE_SIDED = 0.8416212335729143, 1.6448536269514722
_MOST = 10_000_000


@dataclass(frozen=True)
class WithinMargin:
    """The p-values that the second is worse by the margin or more, that the first is, and of either (TOST).

    A small one shows that it is not so. Equivalence is shown where both are (two one-sided tests, Schuirmann 1987).
    """

    margin: float
    second_worse: float | None
    first_worse: float | None

    @property
    def either(self) -> float | None:
        """The p-value of the hypothesis that they differ by the margin or more."""
        if self.second_worse is None or self.first_worse is None:
            return None
        return max(self.second_worse, self.first_worse)

    @property
    def swapped(self) -> "WithinMargin":
        """The same with the two in the other order."""
        return WithinMargin(self.margin, self.first_worse, self.second_worse)

    @property
    def verdict(self) -> str | None:
        """What is shown of the second, at a level of 5 % for each one-sided test, one of `VERDICTS`; None untested.

        That is what the 90 % interval of its gain allows: all of it within the margin on both sides, above minus the
        margin, below the margin, beyond one of them, or none of it.
        """
        if self.second_worse is None or self.first_worse is None:
            return None
        if 1 - self.second_worse < LEVEL:
            return WORSE
        if 1 - self.first_worse < LEVEL:
            return BETTER
        not_worse, not_better = self.second_worse < LEVEL, self.first_worse < LEVEL
        if not_worse and not_better:
            return EQUIVALENT
        return NOT_WORSE if not_worse else NOT_BETTER if not_better else UNDECIDED


def tango(only_second: int, only_first: int, n: int, margin: float) -> float:
    """The one-sided p-value that a paired share is lower by `margin` (0 to 1) or more, by the score test (Tango 1998).

    `only_second` of `n` images count for the second alone, `only_first` for the first alone.
    """
    if not n or not 0 < margin < 1:
        return float("nan")
    change = -margin
    b = -only_second - only_first + (2 * n - only_second + only_first) * change
    c = -only_first * change * (1 - change)
    lost = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * lost + change * (1 - change))
    return float(ndtr(-(only_second - only_first - n * change) / math.sqrt(variance))) if variance > 0 else 1.0


def within_by_error(gain: float, error: float, freedom: float, margin: float) -> WithinMargin:
    """By Student's t, from how much better the second is and the standard error of that; None without variation."""
    if not error > 0:
        return WithinMargin(margin, None, None)
    worse = [float(stdtr(freedom, -(sign * gain + margin) / error)) for sign in (1, -1)]
    return WithinMargin(margin, worse[0], worse[1])


def images_to_decide(
    difference: float, error: float, n: int, *, margin: float | None = None, fixed: float = 0.0
) -> int | None:
    """How many images would decide it with a power of 80 %, should the figures stay as they are; None for too many.

    Without `margin` whether there is a `difference` at all, else whether a gain of `difference` is more than -margin.
    With the discordant share of paired images as the variance that is Connor's formula (1987). `fixed` is a standard
    error beside that of the `n` images, which no number of them takes away, as that of trainings.
    """
    quantile, gap = (Z, abs(difference)) if margin is None else (_Z_ONE_SIDED, difference + margin)
    if gap <= 0 or not error > 0 or not n:
        return None
    of_one = error * math.sqrt(n)
    null = math.hypot(of_one, difference) if margin is None else of_one  # without a difference the variance is greater
    if not fixed:
        needed = ((quantile * null + _Z_POWER * of_one) / gap) ** 2
        return int(np.ceil(needed)) if needed <= _MOST else None

    def decides(images: int) -> bool:
        errors = (math.hypot(one / math.sqrt(images), fixed) for one in (null, of_one))
        return sum(z * one for z, one in zip((quantile, _Z_POWER), errors, strict=True)) <= gap

    return bisect_left(range(1, _MOST), True, key=decides) + 1 if decides(_MOST) else None
