"""A matrix on the logarithms of the probabilities."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import Tensor

from linnaea.arrays import Float64, Floats, Integers, Targets
from linnaea.classifier.calibrators.contract import CALIBRATORS, Calibrator, require_temperature
from linnaea.classifier.calibrators.doubted import doubted, loss_and_slope
from linnaea.classifier.calibrators.temperature import Temperature

STEPS = 120
PENALTIES = (1.0, 0.03, 0.001)  # the strongest first
LEFT_OUT = 3  # one image in so many chooses among them


@CALIBRATORS.register(
    "dirichlet",
    title="Dirichlet",
    meaning="A matrix on the logarithms of the probabilities, its off-diagonal entries held near 0 (Kull et al. 2019).",
    order=60,
    one=True,
    square=True,
)
class Dirichlet(Calibrator):
    """Dirichlet calibration with ODIR, off-diagonal and intercept regularisation (Kull et al. 2019).

    A matrix (K, K) times the logarithms of the probabilities at one temperature, plus a shift (K,).
    """

    kind = "dirichlet"
    matrix: Tensor
    shift: Tensor

    def __init__(self, classes: int, temperature: float = 1.0) -> None:
        require_temperature(temperature)
        super().__init__(classes=classes, temperature=temperature)
        self.temperature = temperature
        self.register_buffer("matrix", torch.eye(classes))
        self.register_buffer("shift", torch.zeros(classes))

    def forward(self, raw: Tensor) -> Tensor:
        """Raw scores (N, K) to calibrated logits (N, K)."""
        matrix, shift = self.matrix.to(raw.dtype), self.shift.to(raw.dtype)
        return (raw / self.temperature).log_softmax(dim=1) @ matrix.T + shift

    @classmethod
    def fit(cls, raw: Floats, targets: Targets) -> "Dirichlet":
        """That of the lowest cross-entropy, by the penalty that does best on images that were not fitted to."""
        temperature = Temperature.fit(raw, targets).temperature
        scores, wanted = np.asarray(log_softmax(raw / temperature, axis=1)), doubted(targets, raw.shape[1])
        order = np.random.default_rng(0).permutation(len(raw))
        left, kept = order[: len(raw) // LEFT_OUT], order[len(raw) // LEFT_OUT :]
        losses = [
            loss_and_slope(_moved(scores[left], found), wanted[left], several=False)[0]
            for found in _path(scores, wanted, kept)
        ]
        *_, best = _path(scores, wanted, order, PENALTIES[: int(np.argmin(losses)) + 1])
        return cls(raw.shape[1], temperature).filled(matrix=best[:, :-1], shift=best[:, -1])


def _moved(scores: Floats, matrix: Floats) -> Floats:
    """Scores (N, K) by a matrix (K, K + 1), whose last column is added."""
    return np.asarray(scores @ matrix[:, :-1].T + matrix[:, -1])


def _path(scores: Floats, wanted: Floats, rows: Integers, penalties: Sequence[float] = PENALTIES) -> list[Float64]:
    """The matrices (K, K + 1) of falling penalties, each found from the one before."""
    classes = scores.shape[1]
    own, truth = scores[rows], wanted[rows]
    start = np.hstack([np.eye(classes), np.zeros((classes, 1))])
    weights = np.full((classes, classes + 1), 1 / max(classes * (classes - 1), 1))
    weights[:, -1] = 1 / classes
    weights[np.arange(classes), np.arange(classes)] = 0  # the diagonal is free
    found = []
    for penalty in penalties:

        def loss(given: Float64, penalty: float) -> tuple[float, Float64]:
            matrix = given.reshape(classes, classes + 1)
            value, slope = loss_and_slope(_moved(own, matrix), truth, several=False)
            gradient = np.hstack([slope.T @ own, slope.sum(axis=0)[:, None]]) / len(own)
            held = penalty * weights * matrix
            return value / len(own) + float((held * matrix).sum()), (gradient + 2 * held).ravel()

        flat: Float64 = start.ravel()
        found_here = minimize(
            partial(loss, penalty=penalty), flat, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
        )
        start = found_here.x.reshape(start.shape)
        found.append(start)
    return found
