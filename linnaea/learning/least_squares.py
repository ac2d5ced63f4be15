"""A linear classifier in closed form, quick enough to be fitted just to try something."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from linnaea.arrays import Float32
from linnaea.learning.targets import as_weights

PENALTY = 1.0
BIAS_PENALTY = 1e-3


@dataclass(frozen=True)
class Sums:
    """Inner products of standardised features (D + 1, D + 1), a constant last, and with wanted scores (D + 1, K)."""

    gram: Tensor
    moment: Tensor

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.gram + other.gram, self.moment + other.moment)


@dataclass(frozen=True)
class LeastSquares:
    """Ridge regression on -1 and 1, one class against the rest (Suykens and Vandewalle 1999), in one solve.

    Features are standardised by the `mean` and `scale` (D,) of the first examples; the penalty is their number.
    Further examples are added as sums, so that each fit costs one more solve.
    """

    mean: Float32
    scale: Float32
    classes: int
    penalty: float

    @classmethod
    def on(cls, features: Float32, classes: int) -> "LeastSquares":
        """Standardise as these features (N, D) ask for."""
        scale = features.std(axis=0)
        return cls(features.mean(axis=0), np.where(scale > 1e-6, scale, 1), classes, PENALTY * len(features))

    def sums(self, features: Float32, targets: Tensor) -> Sums:
        """What features (N, D) with class indices (N,) or class weights (N, K) add to a fit."""
        inputs = self._inputs(features)
        return Sums(inputs.T @ inputs, inputs.T @ (2 * as_weights(targets, self.classes) - 1))

    def solve(self, sums: Sums) -> Tensor:
        """The weights (D + 1, K) with the least penalised squares."""
        penalty = torch.full((len(sums.gram),), self.penalty)
        penalty[-1] = BIAS_PENALTY
        return torch.cholesky_solve(sums.moment, torch.linalg.cholesky(sums.gram + torch.diag(penalty)))

    def answers(self, features: Float32, weights: Tensor) -> npt.NDArray[np.int64]:
        """The class of each row of features (N, D)."""
        answers: npt.NDArray[np.int64] = (self._inputs(features) @ weights).argmax(dim=1).numpy()
        return answers

    def _inputs(self, features: Float32) -> Tensor:
        scaled = torch.from_numpy(((features - self.mean) / self.scale).astype(np.float32))
        return torch.cat([scaled, torch.ones(len(scaled), 1)], dim=1)
