"""Thresholds on the probability of all classes that are likelier: sets that adapt to how hard an image is."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.decisions import mass_above
from linnaea.evidence.conformal.contract import MARGIN, SET_METHODS, SetMaterial, highest_allowed

FEWEST_TO_TUNE = 100
TUNED_ON = 5  # one image in so many
PENALTIES = (0.001, 0.01, 0.1, 0.2, 0.5)
USUAL_PENALTY, USUAL_FREE = 0.01, 5


@SET_METHODS.register(
    "aps",
    title="Adaptive",
    meaning="The likeliest classes until they hold enough probability (Romano et al. 2020), without chance.",
    order=20,
    one=True,
    promise="coverage",
)
def aps(material: SetMaterial) -> Mapping[str, Any]:
    """Classes belong as long as those that are likelier hold together no more than a threshold.

    The answer of an image is always the same: the paper's random last class would make it another in every export.
    """
    return {"sets": "aps", "set_threshold": _threshold(material, 0.0, 0), "set_penalty": 0.0, "set_free": 0}


@SET_METHODS.register(
    "raps",
    title="Adaptive, regularised",
    meaning="As adaptive, with a penalty for each class beyond the first few (Angelopoulos et al. 2021).",
    order=30,
    one=True,
    promise="coverage",
)
def raps(material: SetMaterial) -> Mapping[str, Any]:
    """The same, where every class beyond the first `set_free` ones counts as `set_penalty` more probability.

    Both are chosen for the smallest sets on a fifth of the images, which the threshold is then not fitted to; with
    fewer than 100 images they are those that the authors used.
    """
    images, classes = material.probabilities.shape
    penalty, free, rest = USUAL_PENALTY, min(USUAL_FREE, classes), material
    if images >= FEWEST_TO_TUNE:
        order = np.random.default_rng(0).permutation(images)
        penalty, free = _tuned(material.take(order[: images // TUNED_ON]))
        rest = material.take(order[images // TUNED_ON :])
    threshold = _threshold(rest, penalty, free)
    return {"sets": "raps", "set_threshold": threshold, "set_penalty": penalty, "set_free": free}


def _threshold(material: SetMaterial, penalty: float, free: int) -> float:
    scores = mass_above(material.probabilities, penalty, free)
    strange = highest_allowed(_of_truth(scores, material.targets), material.coverage, material.counts)
    return float(min(strange + MARGIN, 1 + penalty * material.probabilities.shape[1]))


def _of_truth(values: Floats, targets: Integers) -> Floats:
    return np.asarray(np.take_along_axis(values, targets[:, None], axis=1)[:, 0])


def _tuned(material: SetMaterial) -> tuple[float, int]:
    """The penalty of the smallest sets, and how many classes are free of it: as many as mostly hold the truth."""
    likelier = (material.probabilities > material.of_truth[:, None]).sum(axis=1)
    free = int(np.quantile(likelier + 1, material.coverage, method="higher"))
    sizes = []
    for penalty in PENALTIES:
        scores = mass_above(material.probabilities, penalty, free)
        sizes.append(float((scores <= _threshold(material, penalty, free)).sum(axis=1).mean()))
    return PENALTIES[int(np.argmin(sizes))], free
