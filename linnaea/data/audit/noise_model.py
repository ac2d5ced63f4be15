"""A model of label noise: what a classifier sees, sharpened, and how labels came from it by chance or by mistake."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from linnaea.arrays import Float64, Integers

STEPS, CONVERGED = 60, 2e-3
STEADY = 10.0  # pseudo-images that hold the bias of a class at 0
LARGEST = 0.95  # share of a class's labels that may be wrong


@dataclass(frozen=True)
class Noise:
    """The class of an image is softmax(sharpness * log p + bias); its label is another by chance or by mistake.

    By chance every other class is as probable, `anywhere` in all; by mistake class k is called j, `taken_for` (K, K).
    Where classes k and j are `alike` (K, K), the classifier cannot tell them apart, and neither label is wrong.
    """

    sharpness: float
    bias: Float64
    anywhere: float
    taken_for: Float64
    alike: npt.NDArray[np.bool_]

    def times(self, factor: float) -> "Noise":
        """So many times as many wrong labels."""
        taken_for = np.where(self.alike, self.taken_for, self.taken_for * factor)
        return replace(self, anywhere=self.anywhere * factor, taken_for=taken_for)

    @property
    def other(self) -> Float64:
        """The share of labels of each class (K,) that name another."""
        return np.asarray(self.anywhere + self.taken_for.sum(axis=1))

    def right(self, classes: Float64, targets: Integers) -> Float64:
        """The probability (N,) that a label is right, from that of each class (N, K) given image and label."""
        same = classes[np.arange(len(targets)), targets]
        return np.asarray(same + (classes * (self.alike & (self.taken_for > 0)).T[targets]).sum(axis=1))


@dataclass(frozen=True)
class Fitted:
    """A noise, its log-likelihood, and the probability (N, K) of each class given image and label."""

    noise: Noise
    likelihood: float
    classes: Float64


def start_from(count: int, sharpness: float, anywhere: float, mistaken: float = 0.0) -> Noise:
    """Noise that takes `count` classes for one another alike, in a share `anywhere` by chance, `mistaken` by pairs."""
    pairs = np.where(np.eye(count, dtype=bool), 0.0, mistaken / (count - 1))
    return Noise(sharpness, np.zeros(count), anywhere, pairs, np.zeros((count, count), dtype=bool))


def fit(noise: Noise, logs: Float64, targets: Integers, *, free: bool = True) -> Fitted:
    """Expectation maximisation; only the view of the classifier changes where the noise is not `free`."""
    before = -np.inf
    for _ in range(STEPS):
        classes, likelihood = given_labels(noise, logs, targets)
        if abs(likelihood - before) < CONVERGED:
            break
        before = likelihood
        changed = _noise_of(noise, classes, targets) if free else noise
        noise = _sharpened(changed, logs, classes)
    classes, likelihood = given_labels(noise, logs, targets)
    return Fitted(noise, likelihood, classes)


def given_labels(noise: Noise, logs: Float64, targets: Integers) -> tuple[Float64, float]:
    """The probability of each class given image and label (N, K), and the log-likelihood of the labels."""
    rows = np.arange(len(targets))
    joint = softmax(noise.sharpness * logs + noise.bias, axis=1)
    label_of = noise.anywhere / (logs.shape[1] - 1) + noise.taken_for.T[targets]
    label_of[rows, targets] = (1 - noise.other)[targets]
    joint *= label_of
    total = joint.sum(axis=1, keepdims=True) + 1e-300
    return joint / total, float(np.log(total).sum() - STEADY / 2 * (noise.bias**2).sum())


def _noise_of(noise: Noise, classes: Float64, targets: Integers) -> Noise:
    """The noise that those classes and labels count; pairs of less than an image vanish (Figueiredo and Jain 2002)."""
    count = classes.shape[1]
    moved = np.stack([classes[targets == label].sum(axis=0) for label in range(count)], axis=1)  # true, label
    size = np.maximum(moved.sum(axis=1, keepdims=True), 1e-9)
    np.fill_diagonal(moved, 0.0)
    by_chance = noise.anywhere / (count - 1)
    mistaken = moved * noise.taken_for / np.maximum(by_chance + noise.taken_for, 1e-300)
    anywhere = float((moved - mistaken).sum() / len(targets))
    taken_for = np.maximum(mistaken - 1.0, 0.0) / size
    over = np.maximum(anywhere + taken_for.sum(axis=1, keepdims=True), LARGEST) / LARGEST
    return replace(noise, anywhere=min(anywhere, LARGEST), taken_for=taken_for / over)


def _sharpened(noise: Noise, logs: Float64, classes: Float64) -> Noise:
    """One step of Newton towards the sharpness and bias under which the classes are most probable."""
    seen = softmax(noise.sharpness * logs + noise.bias, axis=1)
    mean = (seen * logs).sum(axis=1)
    error = classes - seen
    slope = np.append(error.sum(axis=0) - STEADY * noise.bias, (error * logs).sum())
    mixed = (seen * (logs - mean[:, None])).sum(axis=0)
    bend = np.diag(np.append(seen.sum(axis=0) + STEADY, ((seen * logs * logs).sum(axis=1) - mean**2).sum() + 1e-6))
    bend[:-1, :-1] -= seen.T @ seen
    bend[:-1, -1] = bend[-1, :-1] = mixed
    step = np.linalg.solve(bend, slope)
    step *= min(1.0, 0.5 * noise.sharpness / max(abs(step[-1]), 1e-9), 1.0 / max(np.abs(step[:-1]).max(), 1e-9))
    return replace(noise, sharpness=noise.sharpness + float(step[-1]), bias=noise.bias + step[:-1])
