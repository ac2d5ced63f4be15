"""Prediction sets: the coverage they have against the coverage asked for, over a thousand random splits."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.table import keep, photo_sets
from linnaea import read
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.evidence.conformal.by_probability import conformal_threshold, false_negative_threshold
from linnaea.learning.heads import choose, fit_path
from linnaea.learning.losses.binary_cross_entropy import binary_cross_entropy
from linnaea.models.embedding import embed
from linnaea.models.weights import read_weights
from linnaea.task import TASKS

Floats = npt.NDArray[np.floating]
SPLITS = 1_000
NOMINAL = (0.8, 0.9, 0.95)
SETS = (("clothing", 128), ("cifar10", 64), ("pcb", 224))
MOST = 6_000


def main() -> None:
    """Scores are computed once; a random half calibrates, the other half is counted."""
    rows = []
    for name, size in SETS:
        probabilities, targets, task = scores_of(name, size)
        for nominal in NOMINAL:
            found = np.array([covered(probabilities, targets, nominal, seed) for seed in range(SPLITS)])
            error = 2 * found.std(ddof=1) / np.sqrt(SPLITS)
            rows.append(
                {
                    "set": name,
                    "task": task,
                    "images that calibrate": len(targets) // 2,
                    "asked for": f"{nominal:.0%}",
                    "found": f"{found.mean():.2%} ± {error:.2%}",
                    "off by": f"{100 * (found.mean() - nominal):+.2f} points",
                    "middle 95 % of the splits": f"{np.quantile(found, 0.025):.1%} to {np.quantile(found, 0.975):.1%}",
                }
            )
    remarks = (
        f"Mean over {SPLITS:,} random splits of cached scores. One label per image: the share of sets that hold it. "
        "Several: one less the share of an image's labels that its set misses, averaged over images that show any. "
        "Frozen MobileNetV2 with a linear head, fitted on images that are not among these."
    )
    keep("coverage", "Prediction sets: coverage found and asked for", rows, remarks)


def scores_of(name: str, size: int) -> tuple[Floats, npt.NDArray[np.floating], str]:
    """Probabilities of a head that was fitted on a third of the images, and the targets, of the other two thirds."""
    dataset = read(photo_sets() / name)
    order = np.random.default_rng(0).permutation(len(dataset))[:MOST]
    dataset = dataset.take(order.tolist())
    model = read_weights(Path(os.environ["LINNAEA_WEIGHTS"])).build(2, size)
    features = embed(model, decode_files(dataset.paths, Recipe(size)).images)
    targets, own = dataset.targets, len(dataset) // 3
    several = {"loss": binary_cross_entropy} if dataset.multilabel else {}
    heads = fit_path(features[:own], targets[:own], len(dataset.classes), **several)
    head = choose(heads[:3], features[:own], targets[:own])
    probabilities = TASKS[dataset.task].probabilities(head.logits(features[own:]))
    return np.asarray(probabilities, dtype=np.float64), targets[own:], dataset.task


def covered(probabilities: Floats, targets: npt.NDArray[np.floating], nominal: float, seed: int) -> float:
    """The coverage on one half of the images, by a threshold from the other."""
    order = np.random.default_rng(seed).permutation(len(targets))
    fit, judge = order[: len(order) // 2], order[len(order) // 2 :]
    if targets.ndim == 1:
        threshold = conformal_threshold(probabilities[fit], targets[fit], nominal)
        truth = np.take_along_axis(probabilities[judge], targets[judge][:, None], axis=1)[:, 0]
        return float((truth >= threshold).mean())
    threshold = false_negative_threshold(probabilities[fit], targets[fit], nominal)
    true = targets[judge] == 1
    some = true.any(axis=1)
    kept = ((probabilities[judge] >= threshold) & true).sum(axis=1)
    return float((kept[some] / true[some].sum(axis=1)).mean())


if __name__ == "__main__":
    main()
