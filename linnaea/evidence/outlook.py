"""What more images would show: the interval that a share would then have, and how many would decide a question."""

import math

from linnaea.finding import Estimate
from linnaea.statistics.shares import limits_of_share
from linnaea.statistics.spread import Z

TIMES = {"twice": 2, "four_times": 4}
HOPELESS = 100  # times as many images as there are


def independent_images(share: Estimate) -> float:
    """How many independent images give a share the interval that it has: n, or fewer where images come in groups.

    Each limit of Wilson's interval lies z standard errors of its own from the share (Wilson 1927), which is solved for
    the number of images.
    """
    assert share.value is not None, "only of a share that is known"
    ends = [end for end in (share.lo, share.hi) if end is not None and 0 < end < 1 and end != share.value]
    told = [Z**2 * end * (1 - end) / (share.value - end) ** 2 for end in ends]
    return min(sum(told) / len(told), share.n) if told else share.n


def with_more_images(share: Estimate, times: float) -> tuple[float, float]:
    """The 95 % limits that a share would have from so many times the images, should its value stay."""
    assert share.value is not None, "only of a share that is known"
    images = times * independent_images(share)
    return limits_of_share(share.value * images, images)


def images_to_clear(figure: Estimate, bound: float, *, is_share: bool = True) -> float | None:
    """About how many images would put the whole interval on one side of a bound, should the value stay where it is.

    None where no number would, since the value lies on the bound or the bound on the edge of what a share can be.
    """
    if figure.value is None or figure.lo is None or figure.hi is None or figure.value == bound:
        return None
    distance = abs(figure.value - bound)
    if not is_share:
        reach = figure.value - figure.lo if figure.value > bound else figure.hi - figure.value
        return figure.n * (reach / distance) ** 2
    if not 0 < bound < 1:
        return None
    return Z**2 * bound * (1 - bound) / distance**2 * figure.n / independent_images(figure)


def images_to_aim_for(figure: Estimate, bound: float, *, is_share: bool = True) -> int | None:
    """The same in two digits, more than there are; None also where it is more than a hundred times as many."""
    needed = images_to_clear(figure, bound, is_share=is_share)
    if needed is None or needed > HOPELESS * max(figure.n, 1):
        return None
    step = 10.0 ** max(0, math.floor(math.log10(max(needed, 1.0))) - 1)
    return max(int(step * math.ceil(needed / step)), figure.n + 1)
