"""How often 95 % intervals hold the truth, by simulation: every figure, small samples, few groups, many classes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit, softmax
from scipy.stats import norm

from benchmarks.table import keep
from linnaea.evidence.metrics import LABEL_METRICS, METRICS, LabelScores, Scores
from linnaea.evidence.metrics.scores import Judged
from linnaea.evidence.uncertainty import of_metric
from linnaea.statistics.intervals import estimate
from linnaea.statistics.spread import Sample

Floats = npt.NDArray[np.float64]
LARGE = 200_000
SKILL, ALIKE, SIZE = 2.0, 0.5, 5  # how far classes lie apart; how much of the noise a group shares; images of a group
OVER_CONFIDENT = 2.0  # times the logits that would be right
PLAIN = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr", "average_precision", "aurc", "nll", "brier", "ece")
COLUMNS = (*PLAIN, "ece, calibrated", "map")
REPETITIONS = {50: 300, 200: 300, 1000: 200}
KINDS = ("alone", "groups", "groups of one class")


@dataclass(frozen=True)
class World:
    """Where samples come from: K classes, or labels, of one size or not, and images alone or in groups of five.

    The images of a group look alike and, if it is of `one class`, have the same label.
    """

    classes: int
    balanced: bool
    images: str

    @property
    def shares(self) -> Floats:
        """The share of each class (K,): one, a half, a third, ... of the largest; of two classes 85 and 15 %."""
        sizes = np.array([0.85, 0.15]) if self.classes == 2 else 1 / np.arange(1, self.classes + 1)
        return np.full(self.classes, 1 / self.classes) if self.balanced else sizes / sizes.sum()

    def sample(self, n: int) -> Sample:
        """The n images with their groups."""
        return Sample(n) if self.images == "alone" else Sample(n, np.arange(n) // SIZE)

    def scores(self, random: np.random.Generator, n: int, confidence: float = OVER_CONFIDENT) -> Scores:
        """Answers about n images whose logits are so many times as large as they should be."""
        targets = random.choice(self.classes, n, p=self.shares)
        if self.images == "groups of one class":
            targets = targets[np.arange(n) // SIZE]
        logits = self._noise(random, n)
        logits[np.arange(n), targets] += SKILL
        probabilities = softmax(confidence * SKILL * logits + np.log(self.shares), axis=1)
        answers = probabilities.argmax(axis=1)
        return Scores.of_arrays(targets, answers, probabilities, probabilities.max(axis=1), np.ones(n, dtype=bool))

    def label_scores(self, random: np.random.Generator, n: int) -> LabelScores:
        """Answers about n images that may show any of the labels, the rarest of them in 6 % of the images."""
        rates = np.full(self.classes, 0.3) if self.balanced else np.maximum(0.5 / np.arange(1, self.classes + 1), 0.06)
        there = norm.cdf(self._noise(random, n)) < rates
        logits = SKILL * (self._noise(random, n) + there) - 2
        signed = np.where(there, logits, -logits)
        answers = (logits > 0).astype(np.float64)
        readable = np.ones(n, dtype=bool)
        return LabelScores(there.astype(np.float64), answers, expit(logits), log_expit(signed), readable)

    def _noise(self, random: np.random.Generator, n: int) -> Floats:
        own = random.normal(size=(n, self.classes))
        if self.images == "alone":
            return own
        shared = random.normal(size=(n // SIZE + 1, self.classes))[np.arange(n) // SIZE]
        return np.asarray(np.sqrt(1 - ALIKE) * own + np.sqrt(ALIKE) * shared)

    def judged(self, random: np.random.Generator, n: int) -> Iterator[tuple[str, Any, Judged]]:
        """Every metric that applies, by the name of its column, with scores that it is to judge."""
        scores, labels = self.scores(random, n), self.label_scores(random, n)
        yield from ((name, METRICS[name], scores) for name in PLAIN if METRICS[name].needs(scores))
        yield "ece, calibrated", METRICS["ece"], self.scores(random, n, 1.0)
        yield "map", LABEL_METRICS["map"], labels


@dataclass
class Count:
    """How many intervals there were that are not called too narrow, how many hold the truth, and how many are."""

    told: int = 0
    held: int = 0
    narrow: int = 0

    def __str__(self) -> str:
        whole = self.told + self.narrow
        if not whole:
            return ""
        narrow = f" ({self.narrow / whole:.0%} narrow)" if self.narrow >= whole / 100 else ""
        return (f"{100 * self.held / self.told:.0f}" if self.told >= 0.1 * whole else "-") + narrow


@cache
def truths(classes: int, balanced: bool) -> dict[str, float]:
    """The figures of a very large sample; groups do not change them."""
    random, size = np.random.default_rng(1), LARGE
    judged = World(classes, balanced, "alone").judged(random, size)
    return {name: float(metric(scores, np.ones((1, size)))[0]) for name, metric, scores in judged}


def coverage(world: World, n: int, repetitions: int, seed: int = 0) -> dict[str, Count]:
    """How often the intervals of samples of n images hold the truth, by metric."""
    own = [seed, n, world.classes, world.balanced, KINDS.index(world.images)]  # samples of each cell are its own
    random, sample = np.random.default_rng(own), world.sample(n)
    known, counts = truths(world.classes, world.balanced), defaultdict(Count)
    for repetition in range(repetitions):
        for name, metric, scores in world.judged(random, n):
            found = estimate({name: of_metric(metric, scores, sample)}, sample, seed=repetition)[name]
            if found.value is None:
                continue
            if found.lo is None or found.hi is None or "too narrow" in found.method or "blind" in found.method:
                counts[name].narrow += 1
                continue
            counts[name].told += 1
            counts[name].held += found.lo - 1e-9 <= known[name] <= found.hi + 1e-9
    return counts


def measured(cell: tuple[int, int, bool, str]) -> dict[str, Any]:
    """The row of one cell of the grid: n, classes, whether they are of one size, and how images come."""
    n, classes, balanced, images = cell
    started = time.monotonic()
    counts = coverage(World(classes, balanced, images), n, REPETITIONS[n])
    head = {"n": n, "images": images, "classes": classes, "sizes": "equal" if balanced else "unequal"}
    row = head | {name: str(counts.get(name, "")) for name in COLUMNS}
    print(" ".join(map(str, row.values())), f"{time.monotonic() - started:.0f} s", flush=True)
    return row


def main() -> None:
    """All cells of the grid, on two processes."""
    with ProcessPoolExecutor(2) as pool:
        tell(list(pool.map(measured, product(REPETITIONS, (2, 5, 20), (True, False), KINDS))))


def tell(rows: list[dict[str, Any]]) -> None:
    """Keep the table of all rows."""
    remarks = (
        f"Of {', '.join(f'{count} samples of {n:,}' for n, count in REPETITIONS.items())} images, the share in per "
        "cent whose interval holds the figure of 200,000 images; 95 is right. In brackets the share whose interval is "
        "told to be too narrow, or not told at all; they are not counted in the first number. The answers are "
        "over-confident but for `ece, calibrated`; groups are of five images that look alike. Chance moves a number by "
        "some 3 either way, and by more where most intervals are called narrow."
    )
    keep("interval_coverage", "How often 95 % intervals hold the truth", rows, remarks)


if __name__ == "__main__":
    main()
