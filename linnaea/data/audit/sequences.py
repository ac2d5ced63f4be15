"""Checks on the order of files: images that follow each other and look alike, as frames of a burst or a film do."""

import numpy as np
import numpy.typing as npt

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.data.duplicates.similarity import unit
from linnaea.finding import Estimate, Finding

DRAWS = 200
DIRECTIONS = 64
CLOSER = 0.8  # consecutive images this much closer than chance, or more, are sequences
FEWEST = 20


@CHECKS.register("sequences", title="Sequences", cost="seconds", order=250)
def sequences(inspection: Inspection) -> Finding | None:
    """Whether files that follow each other by name look more alike than others of their class do.

    The mean distance of features between consecutive images of a class is compared with that after shuffling them
    within their classes (a permutation test); images that are known to stay together are left out.
    """
    dataset, features = inspection.dataset, inspection.features
    if features is None or dataset.multilabel or len(dataset) < FEWEST:
        return None
    vectors = _projected(features)
    apart, targets = inspection.apart, dataset.targets
    ordered = np.lexsort((np.array(dataset.ids), targets))
    follows = (targets[ordered[1:]] == targets[ordered[:-1]]) & (apart[ordered[1:]] != apart[ordered[:-1]])
    if follows.sum() < FEWEST:
        return None
    own = _mean_distance(vectors, ordered, follows)
    generator = np.random.default_rng(0)
    chance = np.array([_mean_distance(vectors, _shuffled(ordered, targets, generator), follows) for _ in range(DRAWS)])
    ratio = own / chance.mean()
    if ratio > CLOSER or own >= chance.min():
        return None
    lo, hi = (own / np.percentile(chance, percent) for percent in (97.5, 2.5))
    return Finding(
        "sequences",
        f"Files that follow each other look alike ({1 - ratio:.0%} closer than chance): if they were taken one after "
        "another, a random split puts near-copies in test. Name the sequence of each image in a `group` column.",
        severity="warning",
        count=int(follows.sum()),
        figure=Estimate(float(ratio), float(lo), float(hi), int(follows.sum()), f"{DRAWS} permutations within classes"),
    )


def _projected(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Standardised features in 64 random directions, which keep angles (Johnson and Lindenstrauss 1984)."""
    directions = np.random.default_rng(0).normal(size=(features.shape[1], DIRECTIONS)).astype(np.float32)
    return unit((features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6) @ directions)


def _mean_distance(
    vectors: npt.NDArray[np.float32], order: npt.NDArray[np.int64], pairs: npt.NDArray[np.bool_]
) -> float:
    placed = vectors[order]
    similarity = np.einsum("nd,nd->n", placed[:-1], placed[1:])[pairs]
    return float(np.sqrt(np.maximum(2 - 2 * similarity, 0)).mean())


def _shuffled(
    order: npt.NDArray[np.int64], targets: npt.NDArray[np.int64], generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The same rows, classes in the same places, images within each class in random order."""
    return order[np.lexsort((generator.random(len(order)), targets[order]))]
