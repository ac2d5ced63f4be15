"""Scores that look at features and logits together."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.models.familiarity.by_logits import free_energy
from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity
from linnaea.models.familiarity.known import Known, principal, rank_for

CUT_OFF = 0.9
NEAREST = 0.05


@FAMILIARITIES.register(
    "react",
    title="ReAct",
    meaning="The energy that features cut off at a limit would have (Sun et al. 2021).",
    several=True,
    linear=True,
)
class React(Familiarity):
    """The energy of the logits that features cut off at a `limit` would have (Sun et al. 2021).

    `weight` (K, D) is that of the model's linear head: what was cut off is taken from the logits.
    """

    kind = "react"
    limit: Tensor
    weight: Tensor

    def __init__(self, classes: int, length: int, several: bool = False) -> None:
        super().__init__(classes=classes, length=length, several=several)
        self.several = several
        self.register_buffer("limit", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(classes, length))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) and logits (N, K) to scores (N,)."""
        beyond = functional.relu(features - self.limit)
        return -free_energy(logits - beyond @ self.weight.T, self.several)

    @classmethod
    def fit(cls, known: Known) -> "React":
        """The limit is what nine tenths of all features of training do not exceed."""
        classes, length = known.weight.shape
        score = cls(classes, length, known.several)
        return score.filled(limit=np.quantile(known.features, CUT_OFF), weight=known.weight)


@FAMILIARITIES.register(
    "vim",
    title="Virtual-logit matching",
    meaning="The part of the features outside their principal space, less the energy (Wang et al. 2022).",
    several=False,
    linear=True,
)
class Vim(Familiarity):
    """The part of the features outside their principal space, as a logit, less the energy (Wang et al. 2022).

    Not for several labels. `origin` (D,) is where all logits are equal to none, `directions` (R, D) span the principal
    space, `scale` makes a logit of what lies outside.
    """

    kind = "vim"
    origin: Tensor
    directions: Tensor
    scale: Tensor

    def __init__(self, length: int, rank: int) -> None:
        super().__init__(length=length, rank=rank)
        self.register_buffer("origin", torch.zeros(length))
        self.register_buffer("directions", torch.zeros(rank, length))
        self.register_buffer("scale", torch.zeros(()))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) and logits (N, K) to scores (N,)."""
        centred = features - self.origin
        outside = centred - centred @ self.directions.T @ self.directions
        return self.scale * outside.square().sum(dim=1).sqrt() - torch.logsumexp(logits, dim=1)

    @classmethod
    def fit(cls, known: Known) -> "Vim":
        """The principal space of training about the head's origin, and the scale at which both parts weigh alike."""
        origin = -np.linalg.pinv(known.weight.astype(np.float64)) @ known.bias
        centred = known.features - origin
        _, directions = principal(centred)
        directions = directions[: rank_for(known.features)]
        outside = np.linalg.norm(centred - centred @ directions.T @ directions, axis=1).mean()
        scale = np.abs(known.logits.max(axis=1).mean()) / max(float(outside), 1e-12)
        score = cls(known.features.shape[1], len(directions))
        return score.filled(origin=origin, directions=directions, scale=scale)


@FAMILIARITIES.register(
    "relative_energy",
    title="Relative energy",
    meaning="The energy per distance of the features from the mean of training, as in fDBD (Liu and Qin 2024).",
    several=True,
)
class RelativeEnergy(Familiarity):
    """The energy of the logits per distance of the features from the mean of training, with its sign changed.

    An image that lies far from the mean must have more to say for its class, as in fDBD (Liu and Qin 2024). Logits are
    centred, which softmax does not see and which keeps the energy above 0; of several labels the joint energy is so of
    itself. Distances are in standard deviations of each feature, `mean` (D,) and `inverse` (D,), per dimension; below
    `nearest` they count as that, so that an empty image near the mean does not pass for a known one.
    """

    kind = "relative_energy"
    mean: Tensor
    inverse: Tensor
    nearest: Tensor

    def __init__(self, length: int, several: bool = False) -> None:
        super().__init__(length=length, several=several)
        self.several = several
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("inverse", torch.zeros(length))
        self.register_buffer("nearest", torch.ones(()))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) and logits (N, K) to scores (N,), all below 0."""
        centred = logits if self.several else logits - logits.mean(dim=1, keepdim=True)
        return -free_energy(centred, self.several) / torch.maximum(self.distance(features), self.nearest)

    def distance(self, features: Tensor) -> Tensor:
        """How far features (N, D) lie from the mean of training, about 1 for images of training (N,)."""
        return ((features - self.mean) * self.inverse).square().mean(dim=1).sqrt()

    @classmethod
    def fit(cls, known: Known) -> "RelativeEnergy":
        """Mean and spread of each feature; the nearest is what 95 of 100 images of training lie beyond."""
        mean, spread = known.features.mean(axis=0), known.features.std(axis=0)
        inverse = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0)
        score = cls(known.features.shape[1], known.several).filled(mean=mean, inverse=inverse)
        distances = score.distance(torch.from_numpy(np.asarray(known.features, dtype=np.float32))).numpy()
        return score.filled(nearest=max(float(np.quantile(distances, NEAREST)), 1e-3))
