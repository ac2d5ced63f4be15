"""The figures of many answers among many classes with intervals, against torchmetrics and its bootstrap."""

import time
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.special import softmax

from benchmarks.pairs import Seconds, interleave, median
from benchmarks.table import keep
from linnaea.evidence import figures
from linnaea.predictions import Predictions

IMAGES, CLASSES, REPLICATES = 50_000, 1_000, 1_000
FEW = 2  # replicates of torchmetrics that are timed in each turn; a thousand take that many times longer
SAME = 1e-6


def main() -> None:
    """The values of both, then the time of all replicates."""
    predictions = next(made(IMAGES, IMAGES, CLASSES))
    ours, theirs = figures(predictions), reference(predictions)
    apart = {name: abs(theirs[name] - ours[name].value) for name in theirs}
    paired = interleave(partial(figures, predictions), partial(bootstrap, predictions), pairs=5)
    row = {
        "work": f"{IMAGES:,} x {CLASSES:,}, {REPLICATES:,} replicates",
        "linnaea": median(paired.ours),
        "torchmetrics": median(paired.theirs),
        "ratio": paired.ratio_if(max(apart.values()) < SAME),
        "largest difference": f"{max(apart.values()):.0e}",
    }
    remarks = (
        f"linnaea: all {len(ours)} figures. torchmetrics {version('torchmetrics')}: {', '.join(theirs)}, each in a "
        f"BootStrapper; {FEW} replicates are timed and counted {REPLICATES // FEW} times, as {REPLICATES:,} copies of "
        "the scores would not fit memory. Differences are those of the values."
    )
    keep("reporting", "Figures with intervals", [row], remarks)


def made(images: int, part: int, classes: int) -> Any:
    """Predictions made up, so many images at a time."""
    names = np.array([f"class {number:03}" for number in range(classes)])
    random = np.random.default_rng(0)
    for start in range(0, images, part):
        targets = random.integers(0, classes, part)
        logits = random.normal(size=(part, classes)).astype(np.float32)
        logits[np.arange(part), targets] += 3
        probabilities = softmax(logits, axis=1)
        labels = names[probabilities.argmax(axis=1)].tolist()
        columns = {
            "id": [str(number) for number in range(start, start + part)],
            "truth": names[targets].tolist(),
            "logits": logits,
            "probabilities": probabilities,
            "label": labels,
            "confidence": probabilities.max(axis=1),
            "prediction_set": [[label] for label in labels],
            "ood_score": np.zeros(part),
            "reason": ["ok"] * part,
        }
        yield Predictions.from_columns(columns, tuple(names.tolist()), "multiclass")


def metrics(classes: int) -> dict[str, Any]:
    """The metrics that both have, by the names of ours."""
    from torchmetrics import classification as known

    return {
        "accuracy": known.MulticlassAccuracy(classes, average="micro"),
        "balanced_accuracy": known.MulticlassAccuracy(classes, average="macro"),
        "f1_macro": known.MulticlassF1Score(classes, average="macro"),
        "top5_accuracy": known.MulticlassAccuracy(classes, average="micro", top_k=5),
        "ece": known.MulticlassCalibrationError(classes, n_bins=15),
        "roc_auc_ovr": known.MulticlassAUROC(classes, average="macro"),
    }


def tensors(predictions: Predictions) -> tuple[Any, Any]:
    import torch

    return torch.from_numpy(predictions.scores().astype(np.float32)), torch.from_numpy(predictions.targets)


def reference(predictions: Predictions) -> dict[str, float]:
    """The values that torchmetrics finds."""
    scores, targets = tensors(predictions)
    return {name: float(metric(scores, targets)) for name, metric in metrics(CLASSES).items()}


def bootstrap(predictions: Predictions) -> Seconds:
    """Seconds of all replicates, from those of a few."""
    from torchmetrics.wrappers import BootStrapper

    scores, targets = tensors(predictions)
    started = time.perf_counter()
    for metric in metrics(CLASSES).values():
        wrapped = BootStrapper(metric, num_bootstraps=FEW, quantile=None, raw=True)
        wrapped.update(scores, targets)
        wrapped.compute()
    return Seconds((time.perf_counter() - started) * REPLICATES / FEW)


if __name__ == "__main__":
    main()
