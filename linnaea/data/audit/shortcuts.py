"""Checks on shortcuts: what has nothing to do with the subject and still gives the class away."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.data.facts import Facts
from linnaea.data.splits import random_folds
from linnaea.finding import Estimate, Finding, wilson

Numbers = npt.NDArray[np.float64]
WORTH_SAYING = 0.2  # of what separates the most frequent class from certainty
FEWEST = 20
MOST = 20_000


@CHECKS.register("shortcuts")
def shortcuts(inspection: Inspection) -> Finding | None:
    """Properties of the file rather than the picture that predict the class, and how well, out of sample.

    A small decision tree is cross-validated on each property alone, with duplicates and groups in one fold.
    """
    if inspection.facts is None or inspection.dataset.multilabel:
        return None
    targets, groups = inspection.dataset.targets, inspection.apart
    if len(targets) < FEWEST or len(np.unique(targets)) < 2:
        return None
    rows = np.sort(np.random.default_rng(0).permutation(len(targets))[:MOST])
    floor = np.bincount(targets[rows]).max() / len(rows)
    found: list[dict[str, Any]] = []
    for name, values in _properties(inspection.facts):
        right = _right(values[rows], targets[rows], groups[rows])
        share, lo, hi = (round(value, 4) for value in (float(right.mean()), *wilson(int(right.sum()), len(rows))))
        if lo > floor and (share - floor) / (1 - floor) >= WORTH_SAYING:
            found.append({"property": name, "accuracy": share, "lo": lo, "hi": hi})
    if not found:
        return None
    found.sort(key=lambda row: -row["accuracy"])
    best = found[0]
    return Finding(
        "shortcuts",
        f"The {best['property']} alone tells the class in {best['accuracy']:.0%} of images (the largest class is "
        f"{floor:.0%}): a classifier may learn that instead of the subject, and fail where it differs.",
        severity="warning",
        count=len(rows),
        figure=Estimate(best["accuracy"], best["lo"], best["hi"], len(rows), "Wilson, out of sample"),
        rows=found,
    )


def _properties(facts: Sequence[Facts]) -> Iterator[tuple[str, Numbers]]:
    """Name and values (N,) of each property; words become numbers."""
    yield "file format", _numbered([entry.format for entry in facts])
    yield "colour mode", _numbered([entry.mode for entry in facts])
    yield "camera", _numbered([entry.camera for entry in facts])
    yield "resolution", np.sqrt([float(entry.width * entry.height) for entry in facts])
    yield "shape of the picture", np.array([entry.ratio for entry in facts])
    yield "JPEG quality", np.array([entry.coarseness for entry in facts])


def _numbered(words: Sequence[str]) -> Numbers:
    return np.unique(words, return_inverse=True)[1].astype(np.float64)


def _right(values: Numbers, targets: npt.NDArray[np.int64], groups: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether a tree that was grown on the other folds names each image's class from the one value (N,)."""
    from sklearn.tree import DecisionTreeClassifier

    folds = random_folds(groups)
    right = np.zeros(len(values), dtype=bool)
    for fold in np.unique(folds):
        held = folds == fold
        if not held.all():
            tree = DecisionTreeClassifier(min_samples_leaf=5, max_leaf_nodes=64, random_state=0)
            with warnings.catch_warnings():  # that very many classes may be numbers, which they are not
                warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
                tree.fit(values[~held, None], targets[~held])
            right[held] = tree.predict(values[held, None]) == targets[held]
    return right
