"""Two classifiers on the same images: tests of their difference, and its limits."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.special import ndtri

from linnaea.arrays import Floats
from linnaea.statistics.spread import Z

FLIPS = 10_000


def mcnemar(only_first: int, only_second: int, alternative: Literal["two-sided", "greater"] = "two-sided") -> float:
    """The exact p-value of McNemar's test (1947), from the images that only one answers correctly.

    `alternative` is "two-sided" or, that the first has more of them, "greater".
    """
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, alternative=alternative).pvalue) if discordant else 1.0


def sign_flips(differences: Floats, seed: int = 0, draws: int = FLIPS) -> float:
    """The two-sided p-value that group totals (G,) are as likely to have the other sign (Good 2005), 0 to 1."""
    moved = differences[differences != 0]
    random = np.random.default_rng(seed)
    signs = random.integers(0, 2, (draws, len(moved)), dtype=np.int8) * 2 - 1
    beyond = np.abs(signs @ moved) >= abs(moved.sum()) - 1e-9
    return float((beyond.sum() + 1) / (draws + 1))


def bonett_price(only_first: int, only_second: int, n: int, *, error: float = 0.05) -> tuple[float, float]:
    """The limits of the difference of two paired shares, second less first, 95 % by default (Bonett and Price 2012)."""
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = (Z if error == 0.05 else float(-ndtri(error / 2))) * np.sqrt(
        (first + second - (second - first) ** 2) / (n + 2)
    )
    return float(max(second - first - half, -1.0)), float(min(second - first + half, 1.0))


def zou_donner(values: Sequence[float], limits: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The 95 % limits of the second figure less the first, from those of each as if independent (Zou and Donner 2008).

    Too wide rather than too narrow for figures of the same images, which vary together.
    """
    (first, second), ((first_lo, first_hi), (second_lo, second_hi)) = values, limits
    below, above = np.hypot(second - second_lo, first_hi - first), np.hypot(second_hi - second, first - first_lo)
    return float(second - first - below), float(second - first + above)
