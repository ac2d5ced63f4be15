"""Grouping unfamiliar images: those of no known class are put together by what they seem to show."""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples, silhouette_score

from linnaea.arrays import Floats, Integers
from linnaea.models.familiarity import Known

SHRINKAGE = 0.9
MOST_GROUPS = 12
MOST_COMPARED = 1_000  # images by which a number of groups is judged
MOST_OF_CLASS, FEWEST_OF_GROUP = 300, 5
CLEARER = 0.03  # by so much the silhouette of groups has to be above that of a divided class
STARTS = 4


@dataclass(frozen=True, eq=False)
class Grouping:
    """The group of each image (N,), from 0, the largest first, -1 for none; and how typical it is of its group (N,).

    `typical` is the silhouette, from -1 to 1, 0 between two groups (Rousseeuw 1987), or the similarity to the centre
    where there is one group. `silhouette` is its mean over all images, `within` what dividing a known class into as
    many gives at most; both 0 for one group.
    """

    groups: Integers
    typical: Floats
    silhouette: float
    within: float


@dataclass(frozen=True, eq=False)
class Division:
    """Labels (N,) of clusters, their silhouette, and the highest one that dividing a known class likewise gives."""

    labels: Integers
    silhouette: float
    within: float


def group_strangers(known: Known, strangers: Floats, *, smallest: int) -> Grouping:
    """Group the features (N, D) of strangers by k-means of whitened features at unit length.

    Directions in which images of one known class differ count less. The number of groups, at most 12, is that of the
    highest silhouette, of those that are clearer than dividing any known class into as many; one where none is. Fewer
    than `smallest` images make no group.
    """
    vectors, learnt = turned(known, strangers), turned(known, known.features)
    classes = [learnt[known.groups == number][:MOST_OF_CLASS] for number in range(int(known.groups.max()) + 1)]
    chosen = Division(np.zeros(len(vectors), dtype=np.int64), 0.0, 0.0)
    for count in range(2, MOST_GROUPS + 1):
        found = _divided(vectors, count)
        if found is None:
            break
        within = max((_silhouette_of(own, count) for own in classes), default=0.0)
        if found[1] > max(within + CLEARER, chosen.silhouette):
            chosen = Division(*found, within)
    names, counts = np.unique(chosen.labels, return_counts=True)
    large = [(-count, name) for name, count in zip(names.tolist(), counts.tolist(), strict=True) if count >= smallest]
    groups = np.full(len(vectors), -1, dtype=np.int64)
    for number, (_, name) in enumerate(sorted(large)):
        groups[chosen.labels == name] = number
    return Grouping(groups, _typical(vectors, chosen.labels), chosen.silhouette, chosen.within)


def turned(known: Known, features: Floats) -> Floats:
    """Features (N, D) at unit length about the centre of the known classes, whitened within them, at unit length."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    variances, directions = known.within
    floor = SHRINKAGE * variances.sum() / features.shape[1] + 1e-12
    factors = np.sqrt(floor / ((1 - SHRINKAGE) * variances + floor)) - 1
    apart = unit - known.centre
    white = apart + (apart @ directions.T * factors) @ directions
    return np.asarray(white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-12))


def _divided(vectors: Floats, count: int) -> tuple[Integers, float] | None:
    """Labels (N,) of so many clusters, and their silhouette; None where there are too few different vectors (N, D)."""
    if len(np.unique(vectors.round(5), axis=0)) <= count:
        return None
    labels = KMeans(count, n_init=STARTS, random_state=0).fit_predict(vectors)
    rows = np.random.default_rng(0).permutation(len(vectors))[:MOST_COMPARED]
    kinds = len(np.unique(labels[rows]))
    silhouette = float(silhouette_score(vectors[rows], labels[rows])) if 1 < kinds < len(rows) else 0.0
    return labels.astype(np.int64), silhouette


def _silhouette_of(vectors: Floats, count: int) -> float:
    found = _divided(vectors, count) if len(vectors) >= FEWEST_OF_GROUP * count else None
    return 0.0 if found is None else found[1]


def _typical(vectors: Floats, labels: Integers) -> Floats:
    if len(np.unique(labels)) == 1:
        centre = vectors.mean(axis=0)
        return np.asarray(vectors @ centre / max(float(np.linalg.norm(centre)), 1e-12))
    return np.asarray(silhouette_samples(vectors, labels))
