"""How the cost of each stage grows with images and with classes: fitted exponents."""

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import linregress
from scipy.stats import t as student

from benchmarks.pairs import calibration
from benchmarks.reporting import made
from benchmarks.table import keep, photo_sets
from linnaea.data.duplicates.grouping import duplicate_groups
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.evidence import figures
from linnaea.learning.heads import choose
from linnaea.learning.ridge import fit_ridge_path
from linnaea.models.embedding import embed
from linnaea.models.network import Network
from linnaea.runtime.plan import Plan

REPEATS = 3
WIDTH = 1280
Stage = tuple[str, str, list[int], Callable[[int], Callable[[], object]]]


def main() -> None:
    """A row per stage: sizes, seconds, and the exponent."""
    os.environ["LINNAEA_CACHE"] = "none"
    rows = [row(*stage) for stage in stages()]
    remarks = (
        f"Seconds are the least of {REPEATS}; the exponent is the slope of their logarithm on that of the size, with "
        "95 % limits. Head: ridge regression in closed form with its whole path, the strength chosen on a fifth as "
        f"many images, {WIDTH} features. Evaluation: all figures with 1,000 replicates. {calibration()}."
    )
    keep("growth", "How cost grows", rows, remarks)


def stages() -> list[Stage]:
    return [
        ("decode and resize", "images", [250, 500, 1000, 2000], decoding),
        ("embed (MobileNetV3-S)", "images", [64, 128, 256, 512], embedding),
        ("fit a head, 100 classes", "images", [5_000, 10_000, 20_000, 40_000], lambda n: head(n, 100)),
        ("fit a head, 20,000 images", "classes", [10, 100, 1_000, 10_000], lambda k: head(20_000, k)),
        ("evaluate, 10 classes", "images", [5_000, 10_000, 20_000, 40_000], lambda n: evaluating(n, 10)),
        ("evaluate, 5,000 images", "classes", [10, 100, 1_000, 4_000], lambda k: evaluating(5_000, k)),
        ("near-duplicates", "images", [2_000, 4_000, 8_000, 16_000], duplicates),
    ]


def row(name: str, what: str, sizes: list[int], prepare: Callable[[int], Callable[[], object]]) -> dict[str, str]:
    seconds = []
    for size in sizes:
        work = prepare(size)
        seconds.append(min(timed(work) for _ in range(REPEATS)))
        gc.collect()
    fit = linregress(np.log(sizes), np.log(seconds))
    half = student.ppf(0.975, len(sizes) - 2) * fit.stderr
    return {
        "stage": name,
        "grows in": what,
        "sizes": ", ".join(f"{size:,}" for size in sizes),
        "seconds": ", ".join(f"{value:.2f}" for value in seconds),
        "last over first": f"{seconds[-1] / seconds[0]:.1f}x for {sizes[-1] / sizes[0]:.0f}x",
        "exponent": f"{fit.slope:.2f} ({fit.slope - half:.2f} to {fit.slope + half:.2f})",
    }


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def decoding(count: int) -> Callable[[], object]:
    paths: list[Path] = sorted((photo_sets() / "clothing" / "train").rglob("*.jpg"))[:count]
    return lambda: decode_files(paths, Recipe(224))


def embedding(count: int) -> Callable[[], object]:
    model = Network("mobilenetv3_small_100", 2, 224)
    images = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)
    return lambda: embed(model, images, Plan("cpu"))


def head(images: int, classes: int) -> Callable[[], object]:
    random = np.random.default_rng(0)
    middles = random.normal(size=(classes, WIDTH)).astype(np.float32)
    targets = random.integers(0, classes, images + images // 5)
    features = middles[targets] + 3 * random.normal(size=(len(targets), WIDTH)).astype(np.float32)

    def fit() -> None:
        heads = fit_ridge_path(features[:images], targets[:images], classes)
        choose(heads, features[images:], targets[images:])

    return fit


def evaluating(images: int, classes: int) -> Callable[[], object]:
    predictions = next(made(images, images, classes))
    return lambda: figures(predictions)


def duplicates(count: int) -> Callable[[], object]:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    names = [str(number) for number in range(count)]
    return lambda: duplicate_groups(coarse, names)


if __name__ == "__main__":
    main()
