"""How often a concept is claimed where there is none, and how often a planted one is found, by simulation."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import ttest_ind

from benchmarks.table import keep
from linnaea.evidence.explanation.concepts.directions import chance_directions, directions, sensitivity

Floats = npt.NDArray[np.float64]
TRIALS = 500
POOL, IMAGES_OF_CLASS = 400, 40
DRAWS, REPEATS = 30, 5
LEVEL = 0.05
SIZES, LENGTHS, SHIFTS = (12, 40), (20, 200), (0.0, 0.5, 1.0)  # pictures, channels, deviations that a concept adds


def trial(random: np.random.Generator, size: int, length: int, shift: float) -> tuple[bool, bool]:
    """Whether a concept is claimed, by Linnaea's test and by the usual one between repeats.

    Activations (., C) are correlated; the concept moves them by `shift` deviations in the direction that the class
    listens to, or not at all.
    """
    mix = random.normal(size=(length, length)) * np.linspace(1, 0.1, length)
    listens = random.normal(size=length)
    towards = mix.T @ (mix @ listens)
    towards /= np.linalg.norm(mix @ listens)
    pool, concept = random.normal(size=(POOL, length)) @ mix, random.normal(size=(size, length)) @ mix + shift * towards
    gradients = listens + random.normal(size=(IMAGES_OF_CLASS, length))
    own = directions(concept, pool, size, REPEATS, random)
    chance = chance_directions(pool, size, DRAWS, REPEATS, random)
    shares = [((gradients @ vectors.T) > 0).mean(axis=0) for vectors in (own, chance.reshape(-1, length))]
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # all repeats may agree
        usual = float(ttest_ind(*shares).pvalue) < LEVEL
    return sensitivity(gradients, own, chance).p < LEVEL, usual


def main(trials: int = TRIALS) -> None:
    """Keep the shares of trials in which a concept is claimed."""
    rows: list[dict[str, Any]] = []
    for shift in SHIFTS:
        for size in SIZES:
            for length in LENGTHS:
                random = np.random.default_rng(0)
                claimed = np.mean([trial(random, size, length, shift) for _ in range(trials)], axis=0)
                rows.append(
                    {
                        "pictures of the concept": size,
                        "channels": length,
                        "what it adds": f"{shift:g} standard deviations" if shift else "nothing",
                        "claimed": f"{claimed[0]:.1%}",
                        "claimed by a t test between repeats": f"{claimed[1]:.1%}",
                    }
                )
    keep(
        "concepts",
        f"Concepts claimed at p < {LEVEL}, of {trials:,} simulations each",
        rows,
        f"Activations of {POOL} images of chance are correlated and normal; {DRAWS} random concepts, {REPEATS} draws "
        "of counterparts for each. The test between repeats is that of the TCAV scores of one concept with several "
        "counterparts against those of random concepts.",
    )


if __name__ == "__main__":
    main()
