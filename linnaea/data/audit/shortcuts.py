"""Checks on shortcuts: what has nothing to do with the subject and still gives the class away."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Float64, Integers
from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.data.images.headers import Facts
from linnaea.data.splits import random_folds
from linnaea.finding import Estimate, Finding
from linnaea.runtime.words import counted
from linnaea.statistics.shares import limits_of_share

WORTH_SAYING = 0.2  # of what separates the most frequent class from certainty
APART = 0.5  # share of a class that a property must tell, beyond that of the others
FEWEST = 20
MOST = 20_000


@CHECKS.register("shortcuts", title="Shortcuts", cost="seconds", order=260)
def shortcuts(inspection: Inspection) -> Finding | None:
    """Properties of the file rather than of its content that predict the class, and how well, out of sample.

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
        right = _answers(values[rows], targets[rows], groups[rows]) == targets[rows]
        limits = limits_of_share(int(right.sum()), len(rows))
        share, lo, hi = (round(value, 4) for value in (float(right.mean()), *limits))
        if lo > floor and (share - floor) / (1 - floor) >= WORTH_SAYING:
            found.append({"property": name, "accuracy": share, "lo": lo, "hi": hi})
    if not found:
        return None
    found.sort(key=lambda row: -row["accuracy"])
    best = found[0]
    return Finding(
        "shortcuts",
        f"The {best['property']} alone predicts the class of {best['accuracy']:.0%} of the images (the largest "
        f"class is {floor:.0%}): a classifier may learn that instead of the subject, and fail where it differs.",
        severity="warning",
        count=len(rows),
        figure=Estimate(best["accuracy"], best["lo"], best["hi"], len(rows), "Wilson, out of sample"),
        rows=found,
    )


@CHECKS.register("class_shortcuts", title="Shortcuts to a class", cost="seconds", order=270)
def class_shortcuts(inspection: Inspection) -> Finding | None:
    """Classes that one property of the file alone distinguishes from all the others, out of sample.

    A class is named where the share of its images that the property gives to it exceeds that of the other images by a
    half, at limits that allow for every class and property looked at. Brightness and sharpness may be what a class is
    about: alone they are no warning.
    """
    if inspection.facts is None or inspection.dataset.multilabel:
        return None
    targets, classes = inspection.dataset.targets, inspection.dataset.classes
    rows = np.sort(np.random.default_rng(0).permutation(len(targets))[:MOST])
    targets, groups = targets[rows], inspection.apart[rows]
    sizes = np.bincount(targets, minlength=len(classes))
    judged = np.flatnonzero((sizes >= FEWEST) & (len(targets) - sizes >= FEWEST))
    if len(classes) < 3 or not len(judged):
        return None
    properties = [(*entry, True) for entry in _properties(inspection.facts)]
    properties += [(*entry, False) for entry in _looks(inspection)]
    z = NormalDist().inv_cdf(1 - 0.025 / (len(judged) * len(properties)))
    found: list[dict[str, Any]] = []
    for name, values, of_file in properties:
        answers = _answers(values[rows], targets, groups, "balanced")
        for index in judged.tolist():
            if shares := _told_apart(answers == index, targets == index, z):
                row = {"class": classes[index], "property": name, "images": int(sizes[index]), "of_file": of_file}
                found.append(row | shares)
    if not found:
        return None
    found.sort(key=lambda row: (not row["of_file"], row["of_others"] - row["of_class"]))
    severity = "warning" if found[0]["of_file"] else "info"
    return Finding("class_shortcuts", _told(found), severity=severity, count=found[0]["images"], rows=found)


def _told(found: Sequence[Mapping[str, Any]]) -> str:
    best, count = found[0], len({row["class"] for row in found})
    names = [row["property"] for row in found if (row["class"], row["of_file"]) == (best["class"], best["of_file"])]
    unless = "" if best["of_file"] else ", unless that is what the class is about"
    return (
        f"{counted(count, 'class', 'classes')} can be distinguished from the rest by one property alone. The first is "
        f"{best['class']!r}, by the {' or the '.join(names)}: this picks out {best['of_class']:.0%} of its "
        f"{best['images']} images and {best['of_others']:.0%} of all others. A classifier may learn that instead of "
        f"the subject{unless}: make it the same for all classes, or add images of this class without it."
    )


def _told_apart(named: Flags, own: Flags, z: float) -> dict[str, float]:
    """The share of the class that is named so and that of the others, where they differ enough; else nothing."""
    of_class, of_others = named[own].mean(), named[~own].mean()
    lo = limits_of_share(int(named[own].sum()), int(own.sum()), z)[0]
    hi = limits_of_share(int(named[~own].sum()), int((~own).sum()), z)[1]
    return {"of_class": round(float(of_class), 4), "of_others": round(float(of_others), 4)} if lo - hi >= APART else {}


def _looks(inspection: Inspection) -> Iterator[tuple[str, Float64]]:
    """Name and values (N,) of what was measured on the pixels and may have nothing to do with the subject."""
    if inspection.looks is not None:
        yield "brightness of the brightest part", inspection.looks.dark.astype(np.float64)
        yield "brightness of the darkest part", inspection.looks.bright.astype(np.float64)
        yield "sharpness", inspection.looks.sharpness.astype(np.float64)


def _properties(facts: Sequence[Facts]) -> Iterator[tuple[str, Float64]]:
    """Name and values (N,) of each property; words become numbers."""
    yield "file format", _numbered([entry.format for entry in facts])
    yield "colour mode", _numbered([entry.mode for entry in facts])
    yield "camera", _numbered([entry.camera for entry in facts])
    yield "shape of the image", np.array([entry.ratio for entry in facts])
    yield "resolution", np.sqrt([float(entry.width * entry.height) for entry in facts])
    yield "JPEG quality", np.array([entry.coarseness for entry in facts])


def _numbered(words: Sequence[str]) -> Float64:
    return np.unique(words, return_inverse=True)[1].astype(np.float64)


def _answers(values: Float64, targets: Integers, groups: Integers, weights: str | None = None) -> Integers:
    """The class (N,) that a tree grown on the other folds names from the one value (N,) of each image."""
    from sklearn.tree import DecisionTreeClassifier

    folds = random_folds(groups)
    answers = np.full(len(values), -1, dtype=np.int64)
    for fold in np.unique(folds):
        held = folds == fold
        if not held.all():
            tree = DecisionTreeClassifier(min_samples_leaf=5, max_leaf_nodes=64, class_weight=weights, random_state=0)
            with warnings.catch_warnings():  # that very many classes may be numbers, which they are not
                warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
                tree.fit(values[~held, None], targets[~held])
            answers[held] = tree.predict(values[held, None])
    return answers
