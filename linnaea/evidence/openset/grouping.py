"""Grouping strangers: pictures of no known class, put together by what they seem to show."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples, silhouette_score

from linnaea.evidence.openset.contract import Floats, Known

Rows = npt.NDArray[np.int64]
SHRINKAGE = 0.9
MOST_GROUPS = 12
MOST_COMPARED = 1_000  # pictures by which a number of groups is judged
FEWEST_OF_CLASS = 10
STARTS = 4


@dataclass(frozen=True, eq=False)
class Grouping:
    """The group of each picture (N,), from 0, the largest first, -1 for none; and how typical it is of its group (N,).

    `typical` is the silhouette, from -1 to 1, 0 between two groups (Rousseeuw 1987), or the similarity to the centre
    where there is one group. `silhouette` is its mean over all pictures, `within` what halving a known class gives.
    """

    groups: Rows
    typical: Floats
    silhouette: float
    within: float


def group_strangers(known: Known, strangers: Floats, *, smallest: int) -> Grouping:
    """Group the features (N, D) of strangers by k-means of whitened features at unit length.

    Directions in which pictures of one known class differ count less. The number of groups, at most 12, is that of the
    highest silhouette; one where it is no higher than what halving one of the known classes gives. Fewer than
    `smallest` pictures make no group.
    """
    vectors = turned(known, strangers)
    within = _within(known)
    labels, silhouette = _divided(vectors, within)
    names, counts = np.unique(labels, return_counts=True)
    large = [(-count, name) for name, count in zip(names.tolist(), counts.tolist(), strict=True) if count >= smallest]
    groups = np.full(len(vectors), -1, dtype=np.int64)
    for number, (_, name) in enumerate(sorted(large)):
        groups[labels == name] = number
    return Grouping(groups, _typical(vectors, labels), silhouette, within)


def turned(known: Known, features: Floats) -> Floats:
    """Features (N, D) at unit length about the centre of the known classes, whitened within them, at unit length."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    variances, directions = known.within
    floor = SHRINKAGE * variances.sum() / features.shape[1] + 1e-12
    factors = np.sqrt(floor / ((1 - SHRINKAGE) * variances + floor)) - 1
    apart = unit - known.centre
    white = apart + (apart @ directions.T * factors) @ directions
    return np.asarray(white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12))


def _divided(vectors: Floats, within: float) -> tuple[Rows, float]:
    """The clusters of the highest silhouette, and that; a single one where none is above `within`."""
    found = np.zeros(len(vectors), dtype=np.int64), within
    for count in range(2, min(MOST_GROUPS, len(vectors) - 1) + 1):
        labels = KMeans(count, n_init=STARTS, random_state=0).fit_predict(vectors)
        if len(np.unique(labels)) < count:
            break
        silhouette = _silhouette(vectors, labels)
        if silhouette > found[1]:
            found = labels.astype(np.int64), silhouette
    return found


def _within(known: Known) -> float:
    """The highest silhouette that halving a known class gives, of classes with enough pictures; 0 without any."""
    vectors, found = turned(known, known.features), [0.0]
    for number in range(int(known.groups.max()) + 1):
        own = vectors[known.groups == number]
        if len(own) >= FEWEST_OF_CLASS:
            labels = KMeans(2, n_init=STARTS, random_state=0).fit_predict(own)
            if len(np.unique(labels)) == 2:
                found.append(_silhouette(own, labels))
    return max(found)


def _silhouette(vectors: Floats, labels: Rows) -> float:
    rows = np.random.default_rng(0).permutation(len(vectors))[:MOST_COMPARED]
    kinds = len(np.unique(labels[rows]))
    return float(silhouette_score(vectors[rows], labels[rows])) if 1 < kinds < len(rows) else 0.0


def _typical(vectors: Floats, labels: Rows) -> Floats:
    if len(np.unique(labels)) == 1:
        centre = vectors.mean(axis=0)
        return np.asarray(vectors @ centre / max(float(np.linalg.norm(centre)), 1e-12))
    return np.asarray(silhouette_samples(vectors, labels))
