"""How many labels asking by a strategy takes to be as accurate as asking at random with a fixed number of them.

`python -m benchmarks.active_learning [IMAGES [SEEDS]]`: of each set no more than so many images (3,000), so many seeds.
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
from linnaea.learning.query_trials import Known, Parts, accuracies, best_strength, divided
from linnaea.models.embedding import measure_embedding
from linnaea.models.feature_cache import embed_once
from linnaea.models.weights import read_weights

SETS = {"clothing": (100, 100, 700), "hymenoptera": (10, 20, 150), "cifar10": (100, 100, 700)}
"""Labels at the start, asked for at a time, and in all."""
METHODS = ("margin", "mix", "badge")
IMAGES, SEEDS, SIDE = 3_000, 10, 128
JUDGED = 0.3
AIM, REPLICATES = 0.7, 1_000
RANDOM, CONTROL = ("random", "random, drawn again"), "random, drawn once more"
CHANCE = (*RANDOM, CONTROL)


@dataclass(frozen=True, eq=False)
class Curves:
    """The accuracy (steps,) after each number of labels, of each way of asking, for one seed."""

    labels: list[int]
    by_way: dict[str, list[float]]


def share_of(found: Sequence[Curves], way: str) -> float:
    """The share of random choice's labels that a way takes to its accuracy at the end; 1 if it never gets there.

    Both are means over seeds, random choice also over two draws for each; curves are made to rise (isotonic
    regression), as one lucky step is no accuracy that was reached.
    """
    labels = found[0].labels
    target = np.mean([one.by_way[drawn][-1] for one in found for drawn in RANDOM])
    rising = IsotonicRegression().fit_transform(labels, np.mean([one.by_way[way] for one in found], axis=0))
    return float(np.interp(target, rising, labels, right=labels[-1]) / labels[-1])


def limits_of(found: Sequence[Curves], way: str) -> tuple[float, float]:
    """Its 95 % interval, by the bootstrap over seeds."""
    random = np.random.default_rng(0)
    drawn = [
        share_of([found[row] for row in random.integers(0, len(found), len(found))], way) for _ in range(REPLICATES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """A row for each set and strategy."""
    given = [int(word) for word in sys.argv[1:]] if __name__ == "__main__" else []
    images, seeds = (*given, IMAGES, SEEDS)[:2] if len(given) != 1 else (given[0], SEEDS)
    rows = [row for name in SETS for row in rows_of(name, images, seeds)]
    remarks = (
        f"A head (logistic regression) on the features of a frozen network, {SIDE} pixels, for each of {seeds} seeds: "
        f"{JUDGED:.0%} of the images judge, 100 of the others (hymenoptera: 10) have labels at the start, 100 (20) are "
        "asked for at a time, up to 700 (150). Labels: how many of those that random choice took to its final accuracy "
        "(the mean of two random choices) the strategy took to be as accurate, by the mean curves over seeds, which "
        "are smoothed to rise, with the 95 % interval of the bootstrap over seeds; one that never gets there counts as "
        "100 %. Random choice drawn once more shows what that way of counting gives where there is nothing to gain. "
        "The strength of the head was chosen once for each set, for as many labels at random."
    )
    keep("active_learning", "What to label next", rows, remarks)


def rows_of(name: str, images: int, seeds: int) -> list[dict[str, Any]]:
    """A row for each strategy."""
    began = time.perf_counter()
    known = known_of(name, images)
    start, step, budget = SETS[name]
    steps = [step] * ((budget - start) // step)
    strength = best_strength(known, parts_of(known, start, 0), sum(steps))
    found = [curves(known, parts_of(known, start, seed), steps, strength, seed) for seed in range(seeds)]
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return [row(name, way, found, len(known)) for way in (*METHODS, CONTROL)]


def row(name: str, way: str, found: Sequence[Curves], images: int) -> dict[str, Any]:
    share, (low, high) = share_of(found, way), limits_of(found, way)
    at_random = np.mean([one.by_way[drawn][-1] for one in found for drawn in RANDOM])
    own = np.mean([one.by_way[way][-1] for one in found])
    return {
        "photos": f"{name}, {images:,}",
        "strategy": way,
        "labels": f"{share:.0%} ({low:.0%} to {high:.0%})",
        "aim": "" if way == CONTROL else f"at most {AIM:.0%}",
        "accuracy of random": f"{at_random:.1%}",
        "with as many labels": f"{100 * (own - at_random):+.1f} points",
    }


def parts_of(known: Known, start: int, seed: int) -> Parts:
    """Images with labels at the start, others, and those that judge."""
    return divided(known, start, round(len(known) * JUDGED), seed)


def curves(known: Known, parts: Parts, steps: Sequence[int], strength: float, seed: int) -> Curves:
    """All ways of asking from one start, judged on the same images."""
    labels = [len(parts.start) + sum(steps[:done]) for done in range(len(steps) + 1)]
    ways = {
        **{way: (way, seed) for way in METHODS},
        **{way: ("random", seed + 1_000 * n) for n, way in enumerate(CHANCE)},
    }
    by_way = {
        way: accuracies(known, parts, method, steps, strength=strength, seed=draw)
        for way, (method, draw) in ways.items()
    }
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
    features = embed_once(model, decoded.images, measure_embedding(model, decoded.images))
    whole = np.array([row for row in range(len(part)) if row not in decoded.failed])
    return Known(features[whole], part.targets[whole], len(dataset.classes))


if __name__ == "__main__":
    main()
