"""Do prediction sets of every method hold the truth as often as was asked, over a thousand splits?"""

import numpy as np

from benchmarks.table import keep
from linnaea.arrays import Flags, Floats, Integers
from linnaea.decisions import SETS, Policy
from linnaea.evidence.conformal import SET_METHODS, SetMaterial

SPLITS, FIT, NEW, CLASSES, ASKED = 1_000, 2_000, 1_000, 5, 0.9


def main() -> None:
    """Coverage, coverage of the classes and size of each method, over fresh images in every split."""
    random = np.random.default_rng(0)
    told: dict[str, list[list[float]]] = {name: [] for name in methods()}
    for _ in range(SPLITS):
        fit, new = drawn(FIT, random), drawn(NEW, random)
        for name, rows in told.items():
            held = sets(Policy(**SET_METHODS[name](SetMaterial(*fit, ASKED))), new[0])
            hits = held[np.arange(NEW), new[1]]
            rows.append([hits.mean(), *(hits[new[1] == k].mean() for k in range(CLASSES)), held.sum(axis=1).mean()])
    keep(
        "conformal",
        "Prediction sets of every method",
        [row(name, np.mean(rows, axis=0)) for name, rows in told.items()],
        f"{SPLITS:,} splits of {FIT:,} images to fit and {NEW:,} to judge, {CLASSES} classes that are told apart with "
        f"more and less ease, coverage asked: {ASKED:.0%}.",
    )


def methods() -> list[str]:
    """Those for one label per image."""
    return [name for name in SET_METHODS if SET_METHODS.about(name).capabilities.get("one")]


def drawn(count: int, random: np.random.Generator) -> tuple[Floats, Integers]:
    """Probabilities (n, K), and truths drawn by them (n,)."""
    logits = random.normal(size=(count, CLASSES)) * np.linspace(0.6, 1.8, CLASSES)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truths = (probabilities.cumsum(axis=1) < random.random((count, 1))).sum(axis=1).clip(max=CLASSES - 1)
    return probabilities, truths


def sets(policy: Policy, probabilities: Floats) -> Flags:
    """Which classes the sets hold, the answer always among them (n, K)."""
    held = SETS[policy.sets](probabilities, policy)
    return np.asarray(held | (probabilities >= probabilities.max(axis=1, keepdims=True)))


def row(name: str, mean: Floats) -> dict[str, str]:
    """A method as a row of the table."""
    by_class = mean[1 : 1 + CLASSES]
    return {
        "method": name,
        "coverage": f"{mean[0]:.2%}",
        "mean over classes": f"{by_class.mean():.2%}",
        "class covered least": f"{by_class.min():.2%}",
        "class covered most": f"{by_class.max():.2%}",
        "mean size": f"{mean[-1]:.2f}",
    }


if __name__ == "__main__":
    main()
