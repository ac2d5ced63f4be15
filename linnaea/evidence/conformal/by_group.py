"""A threshold for each class, for clusters of classes, or for what is answered: coverage within each of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.evidence.conformal.contract import SET_METHODS, SetMaterial, as_least, fewest_for, highest_allowed

QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.9)


@SET_METHODS.register(
    "class_conditional",
    title="By class",
    meaning="A threshold for each class, so that each is covered as asked (Vovk 2012); needs images of every class.",
    order=40,
    one=True,
    promise="coverage",
)
def class_conditional(material: SetMaterial) -> Mapping[str, Any]:
    """Each class by its own images; one with too few of them for the coverage belongs to every set."""
    return _by_class("class_conditional", _of_each(material, material.targets, material.probabilities.shape[1]))


@SET_METHODS.register(
    "clustered",
    title="By cluster of classes",
    meaning="A threshold for each cluster of classes with like scores, for many classes with few images (Ding 2023).",
    order=50,
    one=True,
    promise="coverage",
)
def clustered(material: SetMaterial) -> Mapping[str, Any]:
    """Classes are grouped by quantiles of their scores on some of the images, and fitted together on the rest.

    How many clusters and how many images make them follows Ding et al. (2023). Classes with too few images for a
    cluster have the threshold of all images, as lac has it.
    """
    classes = material.probabilities.shape[1]
    cluster, rest = _clusters(material)
    common = highest_allowed(1 - material.of_truth, material.coverage, material.counts)  # the rest has other shares
    strange = _of_each(rest, cluster[rest.targets], int(cluster.max()) + 1)
    return _by_class("clustered", [strange[c] if c >= 0 else common for c in cluster[:classes].tolist()])


@SET_METHODS.register(
    "answer_conditional",
    title="By answer",
    meaning="A threshold for each likeliest class, so that whatever is answered is covered as asked (Vovk 2012).",
    order=60,
    one=True,
    promise="coverage",
)
def answer_conditional(material: SetMaterial) -> Mapping[str, Any]:
    """Groups that are known of every image: what its likeliest class is. One with too few images has all classes."""
    likeliest = material.probabilities.argmax(axis=1)
    return _by_class("answer_conditional", _of_each(material, likeliest, material.probabilities.shape[1]))


def _by_class(name: str, strange: list[float]) -> Mapping[str, Any]:
    return {"sets": name, "set_thresholds": tuple(map(as_least, strange))}


def _of_each(material: SetMaterial, groups: Integers, count: int) -> list[float]:
    """The highest strangeness that is allowed in each of so many groups (n,), infinite where it has too few images."""
    strange, counts = 1 - material.of_truth, material.counts
    return [
        highest_allowed(strange[groups == group], material.coverage, counts[groups == group]) for group in range(count)
    ]


def _clusters(material: SetMaterial) -> tuple[Integers, SetMaterial]:
    """The cluster of each class (K,), -1 for that of none, and the images that are left to fit thresholds to."""
    targets, classes = material.targets, material.probabilities.shape[1]
    images = np.bincount(targets, minlength=classes)
    least = max(int(images.min()), fewest_for(material.coverage))
    enough = np.flatnonzero(images >= least)
    share = len(enough) / (75 + len(enough))
    count = min(int(share * least / 2), len(enough))
    nothing = np.full(classes, -1)
    if count < 2:
        return nothing, material
    order = np.random.default_rng(0).permutation(len(targets))
    place = np.empty(len(targets), dtype=np.int64)  # of each image among those of its class, by chance
    for own in range(classes):
        rows = order[targets[order] == own]
        place[rows] = np.arange(len(rows))
    used = np.isin(targets, enough) & (place < np.ceil(share * images[targets]))
    cluster = nothing.copy()
    cluster[enough] = _grouped(1 - material.of_truth[used], targets[used], enough, count)
    return cluster, material.take(np.flatnonzero(~used))


def _grouped(strange: Floats, targets: Integers, classes: Integers, count: int) -> Integers:
    """So many clusters of classes (C,) by the quantiles of their strangeness, the number of each class's own (C,)."""
    from sklearn.cluster import KMeans

    told = np.stack([np.quantile(strange[targets == own], QUANTILES) for own in classes])
    weight = np.sqrt([(targets == own).sum() for own in classes])
    different = len(np.unique(told, axis=0))
    found = KMeans(min(count, different), n_init=10, random_state=0).fit(told, sample_weight=weight)
    return np.asarray(found.labels_, dtype=np.int64)
