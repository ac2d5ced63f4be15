"""Planted label errors: what the audit says of their number and lists, beside cleanlab on the same probabilities."""

import os
from collections.abc import Callable

import numpy as np
from cleanlab.filter import find_label_issues

from benchmarks.table import keep, photo_sets
from linnaea import read
from linnaea.data.audit.label_noise import label_noise, worth_a_look
from linnaea.data.audit.survey import digest
from linnaea.data.images.pixels import Recipe
from linnaea.data.splits import random_folds
from linnaea.experiments.inspection import embedding_for
from linnaea.learning.crossfit import cross_fit

SETS = {"hymenoptera": None, "clothing": None, "cifar10": 3_000}
PLANTED = (("any", 0.0), ("any", 0.05), ("any", 0.2), ("any", 0.4), ("most confused", 0.1), ("most confused", 0.4))
Judge = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Both kinds of errors, in several shares, on every set."""
    rows = []
    for name, most in SETS.items():
        features, truth = features_of(name, most)
        classes = int(truth.max()) + 1
        fitted = cross_fit(features, random_folds(np.arange(len(truth)), seed=0))
        judge = lambda labels, fitted=fitted, classes=classes: fitted(labels, classes)  # noqa: E731
        confused = most_confused(judge(truth), truth, classes)
        for kind, share in PLANTED:
            labels = planted(truth, classes, kind, share, confused)
            rows.append({"set": name, "images": len(truth), "errors among": kind} | compare(judge, labels, truth))
    remarks = (
        "One draw of errors per row. Wrong: the share of labels made wrong; where the errors are among the two most "
        "confused classes, 10 or 40 % of those. P and R: precision and recall of the list; est. P: the precision that "
        "the audit expects, from the labels alone. cleanlab: find_label_issues at its defaults on the audit's first "
        "probabilities. Features: MobileNetV2 for photos, HOG and colours for CIFAR-10."
    )
    keep("label_errors", "Planted label errors", rows, remarks)


def features_of(name: str, most: int | None) -> tuple[np.ndarray, np.ndarray]:
    """What the audit looks at, kept in its cache, and the classes."""
    dataset = read(photo_sets() / name)
    if most is not None:
        dataset = dataset.take(np.sort(np.random.default_rng(0).permutation(len(dataset))[:most]).tolist())
    weights = "none" if most else os.environ["LINNAEA_WEIGHTS"]
    embedding, size, _ = embedding_for(weights, None, "crop", dataset.paths)
    found = digest(dataset.paths, Recipe(size, "crop"), embedding)
    return found.kept().features, dataset.without(found.excluded(dataset.ids)).targets


def most_confused(probabilities: np.ndarray, truth: np.ndarray, classes: int) -> tuple[int, int]:
    matrix = np.bincount(truth * classes + probabilities.argmax(axis=1), minlength=classes**2)
    both = np.triu(matrix.reshape(classes, classes) + matrix.reshape(classes, classes).T, 1)
    first, second = np.unravel_index(both.argmax(), both.shape)
    return int(first), int(second)


def planted(truth: np.ndarray, classes: int, kind: str, share: float, confused: tuple[int, int]) -> np.ndarray:
    """The labels with a share moved to any other class, or exchanged between the two most confused."""
    generator = np.random.default_rng(1)
    labels = truth.copy()
    pool = np.arange(len(truth)) if kind == "any" else np.flatnonzero(np.isin(truth, confused))
    chosen = generator.permutation(pool)[: round(share * len(pool))]
    if kind == "any":
        labels[chosen] = (truth[chosen] + generator.integers(1, classes, len(chosen))) % classes
    else:
        labels[chosen] = sum(confused) - truth[chosen]
    return labels


def compare(judge: Judge, labels: np.ndarray, truth: np.ndarray) -> dict[str, str]:
    """What the audit and cleanlab list, and how much of that is wrong."""
    wrong, noise = labels != truth, label_noise(judge, labels)
    rows = worth_a_look(noise.right) if noise.certain else np.array([], dtype=np.int64)
    ours = np.isin(np.arange(len(labels)), rows)
    theirs = find_label_issues(labels, judge(labels))
    expected = f"{noise.wrong[rows].mean():.2f}" if len(rows) else "-"
    return {
        "wrong": f"{wrong.mean():.3f}",
        "estimated": f"{noise.rate.value:.3f} ({noise.rate.lo:.3f} to {noise.rate.hi:.3f})",
        "listed": str(len(rows)),
        "P": _share(wrong[ours]),
        "est. P": expected,
        "R": _share(ours[wrong]),
        "F1": _f1(ours, wrong),
        "cleanlab: listed": str(int(theirs.sum())),
        "its P": _share(wrong[theirs]),
        "its R": _share(theirs[wrong]),
        "its F1": _f1(theirs, wrong),
    }


def _share(values: np.ndarray) -> str:
    return f"{values.mean():.2f}" if len(values) else "-"


def _f1(listed: np.ndarray, wrong: np.ndarray) -> str:
    return f"{2 * (listed & wrong).sum() / (listed.sum() + wrong.sum()):.2f}" if wrong.any() else "-"


if __name__ == "__main__":
    main()
