"""Checks on shortcuts: what has nothing to do with the subject and still gives the class away."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.data.facts import Facts
from linnaea.finding import Estimate, Finding

Numbers = npt.NDArray[np.float64]
FOLDS = 5
WORTH_SAYING = 0.2  # of what separates the most frequent class from certainty
FEWEST = 20
MOST = 20_000


class Share(NamedTuple):
    """A share of images with its 95 % interval."""

    value: float
    lo: float
    hi: float


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
    found: list[tuple[str, Share]] = []
    for name, values in _properties(inspection.facts):
        figure = _interval(_right(values[rows], targets[rows], groups[rows]))
        if figure.lo > floor and (figure.value - floor) / (1 - floor) >= WORTH_SAYING:
            found.append((name, figure))
    if not found:
        return None
    found.sort(key=lambda entry: -entry[1].value)
    name, best = found[0]
    return Finding(
        "shortcuts",
        f"The {name} alone tells the class in {best.value:.0%} of images (the largest class is {floor:.0%}): a "
        "classifier may learn that instead of the subject, and fail where it differs.",
        severity="warning",
        count=len(rows),
        figure=Estimate(best.value, best.lo, best.hi, len(rows), "Wilson, out of sample"),
        rows=[{"property": name, "accuracy": share.value, "lo": share.lo, "hi": share.hi} for name, share in found],
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

    folds = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % FOLDS
    right = np.zeros(len(values), dtype=bool)
    for fold in range(FOLDS):
        held = folds == fold
        if held.any() and not held.all():
            tree = DecisionTreeClassifier(min_samples_leaf=5, max_leaf_nodes=64, random_state=0)
            tree.fit(values[~held, None], targets[~held])
            right[held] = tree.predict(values[held, None]) == targets[held]
    return right


def _interval(right: npt.NDArray[np.bool_]) -> Share:
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return Share(round(float(right.mean()), 4), round(float(interval.low), 4), round(float(interval.high), 4))
