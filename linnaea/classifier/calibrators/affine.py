"""A factor and a shift for each class or label."""

from typing import Self

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from linnaea.arrays import Float64, Floats, Targets
from linnaea.classifier.calibrators.contract import CALIBRATORS, Calibrator
from linnaea.classifier.calibrators.doubted import doubted, loss_and_slope
from linnaea.classifier.calibrators.temperature import Temperature

STEPS = 200


class Affine(Calibrator):
    """Raw scores times a factor and plus a shift of their class, both (K,)."""

    factor: Tensor
    shift: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes=classes)
        self.register_buffer("factor", torch.ones(classes))
        self.register_buffer("shift", torch.zeros(classes))

    def forward(self, raw: Tensor) -> Tensor:
        """Raw scores (N, K) to calibrated logits (N, K)."""
        return raw * self.factor + self.shift

    @classmethod
    def fit(cls, raw: Floats, targets: Targets) -> Self:
        """Those of the lowest cross-entropy, held near one temperature for all.

        Factors, relative to that of the temperature, and shifts are as probable beforehand as draws from a normal
        distribution of deviation 1 about 1 and 0, so that few images leave them there.
        """
        common = 1 / Temperature.fit(raw, targets).temperature
        classes, several = raw.shape[1], targets.ndim == 2
        scaled, wanted = np.asarray(raw * common, dtype=np.float64), doubted(targets, raw.shape[1])

        def loss(given: Float64) -> tuple[float, Float64]:
            moved, shift = given[:classes], given[classes:]
            value, slope = loss_and_slope(scaled * (1 + moved) + shift, wanted, several=several)
            gradient = np.concatenate([(slope * scaled).sum(axis=0), slope.sum(axis=0)])
            return value + float(given @ given) / 2, gradient + given

        found = minimize(loss, np.zeros(2 * classes), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
        return cls(classes).filled(factor=common * (1 + found[:classes]), shift=found[classes:])


@CALIBRATORS.register(
    "vector",
    title="Vector",
    meaning="A factor and a shift for each class (vector scaling, Guo et al. 2017), held near one temperature.",
    order=20,
    one=True,
)
class Vector(Affine):
    """A factor and a shift for each class (Guo et al. 2017)."""

    kind = "vector"


@CALIBRATORS.register(
    "per_label",
    title="Per label",
    meaning="A factor and a shift for each of several labels (Platt 1999), held near one temperature.",
    order=20,
    several=True,
)
class PerLabel(Affine):
    """A factor and a shift for each of several labels (Platt 1999)."""

    kind = "per_label"
