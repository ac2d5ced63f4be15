"""A beta curve for each class."""

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from torch import Tensor
from torch.nn.functional import logsigmoid

from linnaea.arrays import Float64, Floats
from linnaea.classifier.calibrators.by_class import ByClass, Curve
from linnaea.classifier.calibrators.contract import CALIBRATORS

USUAL = np.array([1.0, 1.0, 0.0])  # probabilities as they are


@CALIBRATORS.register(
    "beta",
    title="Beta",
    meaning="A curve of three numbers for each class against the rest, then normalised (Kull et al. 2017).",
    order=30,
    one=True,
    several=True,
)
class Beta(ByClass):
    """Beta calibration of each class against the rest (Kull et al. 2017).

    Its log-odds are `a` ln p - `b` ln (1 - p) + `c`, with none of `a` and `b` below 0, of a probability p.
    """

    kind = "beta"
    a: Tensor
    b: Tensor
    c: Tensor

    def __init__(self, classes: int, temperature: float = 1.0, several: bool = False) -> None:
        super().__init__(classes, temperature, several)
        for name, value in zip("abc", USUAL.tolist(), strict=True):
            self.register_buffer(name, torch.full((classes,), value))

    def curved(self, odds: Tensor) -> Tensor:
        """Log-odds (N, K) to calibrated log-odds (N, K)."""
        return self.a * logsigmoid(odds) - self.b * logsigmoid(-odds) + self.c

    @classmethod
    def curve(cls, odds: Floats, truth: Floats) -> Curve:
        """The three numbers of the lowest cross-entropy, held near 1, 1 and 0 as factors of `Affine` are."""
        doubt = 1 / (len(truth) + 2)
        wanted = doubt + (1 - 2 * doubt) * truth
        given = np.stack([log_expit(odds), -log_expit(-odds), np.ones(len(odds))], axis=1)

        def loss(numbers: Float64) -> tuple[float, Float64]:
            curved, moved = given @ numbers, numbers - USUAL
            value = float((np.logaddexp(0, curved) - wanted * curved).sum())
            return value + float(moved @ moved) / 2, given.T @ (expit(curved) - wanted) + moved

        bounds = [(0, None), (0, None), (None, None)]
        found = minimize(loss, USUAL, jac=True, method="L-BFGS-B", bounds=bounds).x
        return dict(zip("abc", found, strict=True))
