"""One threshold on the probability: least sets, and the control of a risk."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Targets
from linnaea.evidence.conformal.contract import MARGIN, ROUNDING, SET_METHODS, SetMaterial, as_least, highest_allowed


@SET_METHODS.register(
    "lac",
    title="Least ambiguous",
    meaning="Every class that is likely enough: the smallest sets on average (Sadinle et al. 2019).",
    order=10,
    one=True,
    promise="coverage",
)
def lac(material: SetMaterial) -> Mapping[str, Any]:
    """One threshold for the probability of every class."""
    strange = highest_allowed(1 - material.of_truth, material.coverage, material.counts)
    return {"sets": "lac", "set_threshold": as_least(strange)}


@SET_METHODS.register(
    "risk",
    title="Controlled risk",
    meaning="Every class that is likely enough for the mean over classes to be covered, approximately, or of several "
    "labels for the share missed (Angelopoulos et al. 2024).",
    order=70,
    one=True,
    several=True,
    promise="class_coverage",
)
def risk(material: SetMaterial) -> Mapping[str, Any]:
    """One threshold that controls an expected loss: conformal risk control (Angelopoulos et al. 2024).

    Of several labels the loss is the share of an image's labels that its set misses; else it is a miss, which counts
    the more the rarer the class, so that all classes together count alike. How rare is told by the same images, so that
    the bound on it is approximate.
    """
    several = material.targets.ndim == 2
    make = false_negative_threshold if several else balanced_threshold
    threshold = make(material.probabilities, material.targets, material.coverage)
    return {"sets": "risk", "set_threshold": max(0.0, threshold - MARGIN)}


def conformal_threshold(
    probabilities: Floats, targets: Targets, coverage: float, weights: Floats | None = None
) -> float:
    """The lowest probability that a label of the set may have (Sadinle et al. 2019), exact for finite samples.

    0 (every label belongs to the set) when there are too few images for the coverage asked for. `weights` (K,) say
    what an image of each class counts, where classes are met in other shares (Podkopaev and Ramdas 2021).
    """
    material = SetMaterial(probabilities, targets, coverage, weights)
    return max(0.0, -highest_allowed(-material.of_truth, coverage, material.counts))


def balanced_threshold(probabilities: Floats, targets: Targets, coverage: float) -> float:
    """The highest probability that labels of the set must reach such that the mean miss over classes is small enough.

    Each image counts the inverse of the share of its class among these (n,), divided by the number of classes there.
    """
    counts = np.bincount(targets, minlength=probabilities.shape[1])
    weight = len(targets) / (np.maximum(counts, 1) * (counts > 0).sum())
    truth = np.take_along_axis(probabilities, targets[:, None], axis=1)[:, 0]
    return _controlled(truth, weight[targets], len(targets), coverage, float(weight[counts > 0].max()))


def false_negative_threshold(probabilities: Floats, targets: Targets, coverage: float) -> float:
    """The highest probability a label of the set must reach such that sets miss at most 1 - coverage of the truths.

    Conformal risk control (Angelopoulos et al. 2024) of the share of an image's true labels (N, K) that its set misses,
    averaged over images with at least one: the bound holds in expectation for a further image, whatever the model. 0
    (every label belongs to the set) when there are too few such images.
    """
    rows = np.flatnonzero((targets == 1).any(axis=1))
    true = targets[rows] == 1
    shares = np.broadcast_to(1 / true.sum(axis=1, keepdims=True), true.shape)[true]
    return _controlled(probabilities[rows][true], shares, len(rows), coverage, 1.0)


def _controlled(truths: Floats, losses: Floats, images: int, coverage: float, most: float) -> float:
    """The highest threshold on the probabilities of truths (m,), each of which costs a loss (m,) when it is missed.

    The mean loss over the `images`, and one more that loses the `most`, stays at 1 - coverage or below.
    """
    order = np.argsort(truths, kind="stable")
    values = truths[order]
    # A threshold equal to the value at a place misses all true labels with smaller values.
    lost = np.concatenate([[0.0], np.cumsum(losses[order])])[np.searchsorted(values, values, side="left")]
    fitting = np.flatnonzero(lost <= (images + 1) * (1 - coverage) - most + ROUNDING)
    return float(values[fitting[-1]]) if len(fitting) else 0.0
