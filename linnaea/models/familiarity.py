"""Familiarity: how far a picture's features lie from everything seen in training."""

import torch
from torch import Tensor, nn


class Familiarity(nn.Module):
    """Distance of features (N, D) to the nearest class, as a score (N,) that grows with strangeness.

    Mahalanobis distance (Lee et al. 2018) on features of unit length (Mueller and Hein 2025), with a covariance of
    `rank` principal directions and equal variance in all others (Tipping and Bishop 1999); `classes` (K, D) are the
    class means. The score is the root of the distance per dimension: about 1 for pictures like those of training.
    """

    directions: Tensor
    precisions: Tensor
    residual_precision: Tensor
    classes: Tensor

    def __init__(self, classes: int, length: int, rank: int) -> None:
        super().__init__()
        self.register_buffer("directions", torch.zeros(rank, length))
        self.register_buffer("precisions", torch.zeros(rank))
        self.register_buffer("residual_precision", torch.zeros(()))
        self.register_buffer("classes", torch.zeros(classes, length))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D) to scores (N,)."""
        unit = torch.nn.functional.normalize(features, dim=1)
        squared = unit.square().sum(dim=1, keepdim=True) - 2 * unit @ self.classes.T + self.classes.square().sum(dim=1)
        along = (unit @ self.directions.T).unsqueeze(1) - self.classes @ self.directions.T
        weighted = (along.square() * (self.precisions - self.residual_precision)).sum(dim=2)
        distance = (weighted + squared * self.residual_precision).amin(dim=1)
        return torch.sqrt(distance.clamp(min=0) / features.shape[1])
