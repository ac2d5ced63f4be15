"""The shares of the classes among images without labels, where classes look as they did and only their shares differ.

Both ways here suppose just that (label shift). Where images look different too, they may say anything: the classes that
changed images resemble are then taken for more frequent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from linnaea.arrays import Flags, Float64, Floats, Integers
from linnaea.errors import DataError
from linnaea.finding import Estimate
from linnaea.statistics.shares import wilson

STEPS = 10_000
TOLERANCE = 1e-9
TINY = 1e-300
WORST = 1e4  # condition of the confusion: beyond it classes cannot be told apart well enough


@dataclass(frozen=True, eq=False)
class Shares:
    """Estimated shares of the classes (K,) with 95 % limits for each, and how they were estimated.

    `rises` (K,) and `falls` say which differ from the shares of the reference, of all together with 95 % confidence.
    """

    value: Floats
    lo: Floats
    hi: Floats
    rises: Flags
    falls: Flags
    images: int
    method: str


def estimate_prior(probabilities: Floats, prior: Sequence[float] | Floats) -> Floats:
    """The shares of the classes (K,) among unlabelled images, by EM from their probabilities (Saerens et al. 2002).

    `probabilities` (N, K) are calibrated where the shares are `prior` (K,). It supposes that images of a class look as
    they did, and only the classes are more or less frequent.
    """
    shares = np.asarray(prior, dtype=np.float64)
    given = probabilities / shares
    current = shares
    for _ in range(STEPS):
        joint = given * current
        updated = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(updated - current).max() < TOLERANCE:
            return np.asarray(updated)
        current = updated
    return current


def shares_by_em(probabilities: Floats, prior: Sequence[float] | Floats) -> Shares:
    """The same with limits from the curvature of the likelihood, which know only of chance among these images.

    How far the calibration is off, they do not know: it is supposed to be right.
    """
    old = np.asarray(prior, dtype=np.float64)
    value = np.asarray(estimate_prior(probabilities, old), dtype=np.float64)
    given = probabilities / old
    scores = given / (given @ value)[:, None]
    basis = _within(len(old))
    moved = scores @ basis
    curvature = np.linalg.pinv(moved.T @ moved / len(moved), rcond=1e-10)
    off = moved - moved.mean(axis=0)
    covariance = basis @ curvature @ (off.T @ off / len(moved)) @ curvature @ basis.T / len(moved)
    return _shares(value, covariance, old, np.zeros(len(old)), len(moved), "EM")


def shares_by_confusion(labelled: Floats, targets: Integers, probabilities: Floats) -> Shares:
    """The shares that explain the mean probabilities of these images by those of labelled ones, class by class.

    `labelled` (n, K) are the probabilities of the reference, `targets` (n,) its classes, `probabilities` (N, K) those
    of the images (BBSE with probabilities in place of answers, Lipton et al. 2018). They need not be calibrated. The
    limits know of chance among the images and in the reference. Raises DataError where a class has fewer than two
    labelled images, or classes are confused too much to be told apart.
    """
    solved = _solved(labelled, targets, probabilities)
    known = np.bincount(targets, minlength=solved.classes) / len(targets)
    return _shares(
        solved.value, solved.covariance, known, known * (1 - known) / len(targets), len(probabilities), "confusion"
    )


def accuracy_of_shares(
    labelled: Floats, targets: Integers, right: Flags, probabilities: Floats
) -> tuple[Estimate, Shares]:
    """The share of right answers if only the shares of the classes changed: that of each class, weighed by them.

    `right` (n,) says which answers about the reference are. The limits know of chance in both.
    """
    solved = _solved(labelled, targets, probabilities)
    counts = np.bincount(targets, minlength=solved.classes).astype(np.float64)
    recall = np.bincount(targets, weights=right.astype(np.float64), minlength=solved.classes) / counts
    weight = solved.inverse.T @ recall
    new = solved.off_new @ weight
    known = (solved.value / counts)[targets] * ((right - recall[targets]) - solved.off_known @ weight)
    variance = float(np.sum(np.square(new)) / len(new) ** 2 + np.sum(np.square(known)))
    value = np.clip(recall @ solved.value, 0, 1)
    lo, hi = _limits(value, np.asarray(variance), min(len(new), len(targets)))
    method = "recall of each class at its estimated share, without labels"
    told = Estimate(float(value), float(lo), float(hi), len(probabilities), method)
    return told, shares_by_confusion(labelled, targets, probabilities)


@dataclass(frozen=True, eq=False)
class _Solved:
    """The equation of shares and mean probabilities, solved: its inverse (K, K), and how far rows are off it."""

    value: Float64
    inverse: Float64
    off_known: Float64
    off_new: Float64
    weights: Float64

    @property
    def classes(self) -> int:
        return len(self.value)

    @property
    def covariance(self) -> Float64:
        known = self.off_known * self.weights[:, None]
        inner = known.T @ known + self.off_new.T @ self.off_new / len(self.off_new) ** 2
        return np.asarray(self.inverse @ inner @ self.inverse.T)


def _solved(labelled: Floats, targets: Integers, probabilities: Floats) -> _Solved:
    classes = labelled.shape[1]
    counts = np.bincount(targets, minlength=classes)
    if counts.min() < 2:
        few = int((counts < 2).sum())
        raise DataError(f"{few} of {classes} classes have fewer than two labelled images: their shares stay unknown.")
    means = np.stack([np.bincount(targets, weights=labelled[:, k], minlength=classes) / counts for k in range(classes)])
    if not np.linalg.cond(means) < WORST:
        raise DataError("some classes are so much alike in the reference that their shares cannot be told apart.")
    inverse, mean = np.asarray(np.linalg.inv(means), dtype=np.float64), probabilities.mean(axis=0)
    value = np.maximum(inverse @ mean, 0)
    value = value / value.sum()
    spread = np.sqrt(counts / (counts - 1))  # the mean of a class is near its own images
    off = (labelled - means.T[targets]) * spread[targets][:, None]
    off_new = np.asarray(probabilities - mean, dtype=np.float64)
    return _Solved(value, inverse, np.asarray(off, dtype=np.float64), off_new, (value / counts)[targets])


def _shares(value: Float64, covariance: Float64, known: Float64, of_known: Float64, images: int, method: str) -> Shares:
    variance = np.maximum(np.diag(covariance), 0)
    lo, hi = _limits(value, variance, images)
    least = known * (1 - known) / images  # that of shares as they were: few images may happen to be all of one class
    error = np.sqrt(np.maximum(variance, least) + of_known)
    apart = -ndtri(0.025 / len(value)) * error  # of all classes together (Bonferroni)
    return Shares(value, lo, hi, value - known > apart, known - value > apart, images, method)


def _limits(value: Floats, variance: Floats, images: int) -> tuple[Floats, Floats]:
    """Wilson's limits (K,) for as many images as shares have this variance, and never for more than there are."""
    spread = value * (1 - value)
    worth = np.where(variance > 0, spread / np.maximum(variance, TINY), images)
    worth = np.minimum(np.where(spread > 0, worth, images), images)
    lo, hi = wilson(value * worth, worth)
    return np.asarray(lo), np.asarray(hi)


def _within(classes: int) -> Float64:
    """An orthonormal basis (K, K - 1) of changes of shares, whose sum stays one."""
    return np.asarray(np.linalg.svd(np.ones((1, classes)))[2][1:].T)
