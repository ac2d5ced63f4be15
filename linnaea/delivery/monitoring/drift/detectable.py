"""What could be seen at all: the smallest change that a reference and a window of their sizes show."""

import numpy as np
from scipy.special import ndtri

from linnaea.finding import Finding

POWER = 0.8
TESTS = 10  # about so many share the rate


def smallest_shift(reference: int, window: int, rate: float, tests: int = TESTS) -> float:
    """By how many of its standard deviations a figure must move to be seen in 80 of 100 windows.

    By the normal approximation, where each of so many tests has its part of the rate of false alarms (Bonferroni); a
    share of one half must move by half of that.
    """
    beyond = -ndtri(rate / (2 * max(tests, 1))) + ndtri(POWER)
    return float(beyond * np.sqrt(1 / max(reference, 1) + 1 / max(window, 1)))


def detectable(reference: int, window: int, rate: float, tests: int = TESTS) -> Finding:
    """The same in words; a warning where only a change that nobody could overlook would be seen."""
    shift = smallest_shift(reference, window, rate, tests)
    share = min(0.5, shift / 2)
    told = (
        f"With {reference:,} images in the reference and {window:,} in a window, a change is seen in 80 of 100 windows "
        f"where a figure such as brightness moves by {shift:.2f} of its standard deviation, or the share of a class "
        f"that is half of the answers by {100 * share:.0f} points."
    )
    more = min(reference, window)
    if shift > 1:
        which = "the reference" if reference == more else "the windows"
        return Finding("detectable", f"{told} That is little use: make {which} larger.", "warning")
    return Finding("detectable", told)
