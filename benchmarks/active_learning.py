"""How many labels asking by a strategy takes to be as accurate as asking at random with a fixed number of them.

`python -m benchmarks.active_learning [IMAGES [SEEDS]]`: of each set no more than so many images (6,000), so many seeds.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from benchmarks.table import keep, photo_sets
from linnaea import read
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.learning.query_trials import Known, accuracies, best_strength, divided
from linnaea.models.embedding import embed, measure_embedding
from linnaea.models.weights import read_weights
from linnaea.statistics.repeats import mean_over

SETS = ("clothing", "cifar10")
METHODS = ("margin", "mix", "badge", "entropy")
IMAGES, SEEDS, SIDE = 6_000, 10, 160
JUDGED = 0.3
START, STEP, BUDGET = 100, 75, 1_000  # labels; a class has one at least
AIM = 0.7
CONTROL = "random, drawn again"


@dataclass(frozen=True, eq=False)
class Curves:
    """The accuracy (steps,) after each number of labels, of each way of asking, for one seed."""

    labels: list[int]
    by_way: dict[str, list[float]]

    def share(self, way: str) -> float:
        """The share of random choice's labels that it takes to the accuracy of that at the end; 1 if it never does.

        Curves are made to rise (isotonic regression), as one lucky step is no accuracy that was reached.
        """
        target = self.by_way["random"][-1]
        rising = IsotonicRegression().fit_transform(self.labels, self.by_way[way])
        reached = np.flatnonzero(rising >= target)
        if not len(reached):
            return 1.0
        place = int(reached[0])
        if place == 0:
            return self.labels[0] / self.labels[-1]
        low, high = rising[place - 1], rising[place]
        between = (target - low) / (high - low)
        before, after = self.labels[place - 1], self.labels[place]
        return float((before + between * (after - before)) / self.labels[-1])


def main() -> None:
    """A row for each set and strategy."""
    given = [int(word) for word in sys.argv[1:]] if __name__ == "__main__" else []
    images, seeds = (*given, IMAGES, SEEDS)[:2] if len(given) != 1 else (given[0], SEEDS)
    rows = [row for name in SETS for row in rows_of(name, images, seeds)]
    remarks = (
        f"A head (logistic regression) on the features of a frozen network, {SIDE} pixels, for each of {seeds} seeds: "
        f"{JUDGED:.0%} of the images judge, {START} of the others have labels at the start, {STEP} labels are asked "
        f"for at a time, {BUDGET:,} in all. Labels: how many of those that random choice took to its final accuracy "
        "the strategy took to be as accurate, with the 95 % interval over seeds; curves are smoothed to rise, and a "
        "strategy that never gets there counts as 100 %. Random choice drawn again shows what that way of counting "
        "gives where there is nothing to gain. The strength of the head was chosen once for each set, at the start."
    )
    keep("active_learning", "What to label next", rows, remarks)


def rows_of(name: str, images: int, seeds: int) -> list[dict[str, Any]]:
    """A row for each strategy."""
    began = time.perf_counter()
    known = known_of(name, images)
    found = [curves(known, seed) for seed in range(seeds)]
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return [row(name, way, found, len(known)) for way in (*METHODS, CONTROL)]


def row(name: str, way: str, found: Sequence[Curves], images: int) -> dict[str, Any]:
    shares = [one.share(way) for one in found]
    told = mean_over(shares, images, "seed")
    span = "" if told.lo is None else f" ({told.lo:.0%} to {told.hi:.0%})"
    ends = [one.by_way[way][-1] - one.by_way["random"][-1] for one in found]
    at_random = np.mean([one.by_way["random"][-1] for one in found])
    return {
        "photos": f"{name}, {images:,}",
        "strategy": way,
        "labels": f"{np.mean(shares):.0%}{span}",
        "aim": "" if way == CONTROL else f"at most {AIM:.0%}",
        "accuracy of random": f"{at_random:.1%}",
        "with as many labels": f"{100 * np.mean(ends):+.1f} points",
    }


def curves(known: Known, seed: int) -> Curves:
    """All ways of asking from one start, judged on the same images."""
    parts = divided(known, START, round(len(known) * JUDGED), seed)
    budget = min(BUDGET, len(parts.start) + len(parts.pool) // 2)
    steps = [STEP] * ((budget - len(parts.start)) // STEP)
    strength = best_strength(known, divided(known, START, round(len(known) * JUDGED), 0))
    labels = [len(parts.start), *(len(parts.start) + STEP * (number + 1) for number in range(len(steps)))]
    by_way = {way: accuracies(known, parts, way, steps, strength=strength, seed=seed) for way in (*METHODS, "random")}
    by_way[CONTROL] = accuracies(known, parts, "random", steps, strength=strength, seed=seed + 1_000)
    return Curves(labels, by_way)


def known_of(name: str, images: int) -> Known:
    """Features of a set's images, at most so many, by a frozen network."""
    weights = Path(os.environ.get("LINNAEA_WEIGHTS", ""))
    if not weights.is_file():
        raise SystemExit("Set LINNAEA_WEIGHTS to a safetensors file of ImageNet weights to run this benchmark.")
    dataset = read(photo_sets() / name)
    rows = np.sort(np.random.default_rng(0).permutation(len(dataset))[:images])
    part = dataset.take(rows.tolist())
    decoded = decode_files(part.paths, Recipe(SIDE))
    model = read_weights(weights).build(len(dataset.classes), SIDE)
    features = embed(model, decoded.images, measure_embedding(model, decoded.images))
    whole = np.array([row for row in range(len(part)) if row not in decoded.failed])
    return Known(features[whole], part.targets[whole], len(dataset.classes))


if __name__ == "__main__":
    main()
