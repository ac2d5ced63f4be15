"""Laplace's approximation for a linear layer: its curvature, the prior that the data speaks for, draws of weights."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

MOST_WHOLE = 1_000  # weights, of which the whole matrix is taken
LOWEST, HIGHEST = 1e-6, 1e8  # precisions that are looked at
NONE = 1e-10  # of the largest eigenvalue: smaller ones are rounding


class Curvature(ABC):
    """The generalised Gauss-Newton matrix of the loss in the weights (K, L) of a linear layer, by its eigenvalues.

    It is a sum over images of the outer products of inputs (L,), the last of which is 1 for the bias, and the Hessian
    (K, K) of each image's loss in its scores; for this loss it is the Hessian itself (Daxberger et al. 2021).
    """

    values: Tensor

    @abstractmethod
    def drawn(self, noise: Tensor, precision: float) -> Tensor:
        """Standard normal numbers (S, K, L) to deviations of the weights under a prior of this precision."""

    def best_precision(self, weights: Tensor) -> float:
        """The precision of a normal prior around 0 that makes the data most probable (MacKay 1992)."""
        size = float(weights.double().square().sum())

        def lack(power: float) -> float:
            precision = math.exp(power)
            return 0.5 * (precision * size - float((power - (self.values + precision).log()).sum()))

        bounds = (math.log(LOWEST), math.log(HIGHEST))
        return math.exp(minimize_scalar(lack, bounds=bounds, method="bounded").x)


@dataclass(frozen=True, eq=False)
class Whole(Curvature):
    """All of the matrix: its eigenvalues (P,) and vectors (P, P), P = K L."""

    values: Tensor
    vectors: Tensor

    @classmethod
    def of(cls, inputs: Tensor, hessians: Tensor) -> "Whole":
        """Of inputs (N, L) and the Hessians (N, K, K) of their losses."""
        found = torch.einsum("nkj,nl,nm->kljm", hessians, inputs, inputs)
        size = hessians.shape[1] * inputs.shape[1]
        values, vectors = torch.linalg.eigh(found.reshape(size, size))
        return cls(values.clamp(min=0), vectors)

    def drawn(self, noise: Tensor, precision: float) -> Tensor:
        """By the square root of the inverse."""
        own = noise.flatten(1) / (self.values + precision).sqrt()
        return (own @ self.vectors.T).reshape(noise.shape)


@dataclass(frozen=True, eq=False)
class Kronecker(Curvature):
    """The product of what inputs and what Hessians sum up to, by the eigenvalues of each (Martens and Grosse 2015).

    `values` are all products above 0; `of_inputs` (R,) and `directions` (L, R) are those of the inputs, and `of_scores`
    (K,) and `turns` (K, K) those of the mean Hessian.
    """

    values: Tensor
    of_inputs: Tensor
    directions: Tensor
    of_scores: Tensor
    turns: Tensor

    @classmethod
    def of(cls, inputs: Tensor, hessian: Tensor) -> "Kronecker":
        """Of inputs (N, L) and the mean (K, K) of the Hessians of their losses."""
        of_inputs, directions = _principal(inputs)
        of_scores, turns = torch.linalg.eigh(hessian)
        of_scores = of_scores.clamp(min=0)
        return cls(torch.outer(of_scores, of_inputs).flatten(), of_inputs, directions, of_scores, turns)

    def drawn(self, noise: Tensor, precision: float) -> Tensor:
        """By the prior alone, but where inputs have told of the weights."""
        alone = precision**-0.5
        told = (torch.outer(self.of_scores, self.of_inputs) + precision).rsqrt()
        turned = alone * noise + ((noise @ self.directions) * (told - alone)) @ self.directions.T
        return torch.einsum("kj,sjl->skl", self.turns, turned)


def _principal(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (R,) and vectors (L, R) of the sum of outer products of inputs (N, L), R <= N, L."""
    wide = len(inputs) < inputs.shape[1]
    values, vectors = torch.linalg.eigh(inputs @ inputs.T if wide else inputs.T @ inputs)
    kept = values > NONE * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    return values, (inputs.T @ vectors / values.sqrt() if wide else vectors)


def curvature_of(features: Tensor, scores: Tensor, *, several: bool) -> Curvature:
    """The curvature at features (N, D) with scores (N, K): whole where it has few weights, else a Kronecker product."""
    inputs = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
    shares = scores.double().sigmoid() if several else scores.double().softmax(dim=1)
    if inputs.shape[1] * scores.shape[1] <= MOST_WHOLE:
        return Whole.of(inputs, _hessians(shares, several=several))
    if several:
        return Kronecker.of(inputs, torch.diag((shares * (1 - shares)).mean(dim=0)))
    return Kronecker.of(inputs, torch.diag(shares.mean(dim=0)) - shares.T @ shares / len(shares))


def _hessians(shares: Tensor, *, several: bool) -> Tensor:
    """The Hessian (N, K, K) of each image's loss in its scores."""
    if several:
        return torch.diag_embed(shares * (1 - shares))
    return torch.diag_embed(shares) - shares[:, :, None] * shares[:, None, :]


def draws(curvature: Curvature, weights: Tensor, precision: float, count: int, generator: torch.Generator) -> Tensor:
    """So many draws (S, K, L) of the weights (K, L), in pairs on both sides, so that their mean is the weights.

    Of an odd number one has no other side.
    """
    half = torch.randn((-(-count // 2), *weights.shape), generator=generator, dtype=torch.float64)
    away = curvature.drawn(half, precision)
    return torch.cat([weights + away, weights - away])[:count].float()
