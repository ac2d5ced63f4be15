"""Scores that look at the features alone: how far an image lies from those of training."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity
from linnaea.models.familiarity.known import Known, rank_for

SHRINKAGE_OF_DISTANCE, SHRINKAGE_OF_DISCRIMINANT = 0.05, 0.3
FINEST = 1e-3  # of the squared length: less variance within classes drowns in the rounding of another runtime
NEIGHBOURS = 5
MOST_EXAMPLES = 5_000


@FAMILIARITIES.register(
    "mahalanobis",
    title="Mahalanobis distance",
    meaning="The distance of the features to the nearest class mean (Lee et al. 2018).",
    several=True,
)
class Mahalanobis(Familiarity):
    """The Mahalanobis distance of the features to the nearest class mean (Lee et al. 2018).

    On features of unit length (Mueller and Hein 2025), with a covariance of `rank` principal directions and equal
    variance in all others (Tipping and Bishop 1999); `means` (K, D) are those of the classes, or one for several
    labels, from the `centre` (D,): small numbers, whose squares do not drown what tells them apart.
    The score is the root of the distance per dimension: about 1 for images like those of training.
    """

    kind = "mahalanobis"
    directions: Tensor
    precisions: Tensor
    residual_precision: Tensor
    centre: Tensor
    means: Tensor

    def __init__(self, classes: int, length: int, rank: int) -> None:
        super().__init__(classes=classes, length=length, rank=rank)
        self.register_buffer("directions", torch.zeros(rank, length))
        self.register_buffer("precisions", torch.zeros(rank))
        self.register_buffer("residual_precision", torch.zeros(()))
        self.register_buffer("centre", torch.zeros(length))
        self.register_buffer("means", torch.zeros(classes, length))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) to scores (N,)."""
        centred = functional.normalize(features, dim=1) - self.centre
        products = centred @ self.means.T
        squared = centred.square().sum(dim=1, keepdim=True) - 2 * products + self.means.square().sum(dim=1)
        along = (centred @ self.directions.T).unsqueeze(1) - self.means @ self.directions.T
        weighted = (along.square() * (self.precisions - self.residual_precision)).sum(dim=2)
        distance = (weighted + squared * self.residual_precision).amin(dim=1)
        return torch.sqrt(distance.clamp(min=0) / features.shape[1])

    @classmethod
    def fit(cls, known: Known) -> "Mahalanobis":
        """Class means and a common covariance of features at unit length.

        The covariance keeps at most 64 directions, with a twentieth of the mean variance added to each, so that few
        images in many dimensions do not make it singular. Several labels make no classes: one mean stands for all.
        """
        variances, directions = known.within
        length = known.features.shape[1]
        rank = min(rank_for(known.features), len(variances))
        floor = max(SHRINKAGE_OF_DISTANCE * variances.sum(), FINEST) / length
        rest = variances[rank:].sum() / max(1, length - rank) + floor
        return cls(len(known.means), length, rank).filled(
            directions=directions[:rank],
            precisions=1 / (variances[:rank] + floor),
            residual_precision=1 / rest,
            centre=known.centre,
            means=known.means - known.centre,
        )


@FAMILIARITIES.register(
    "discriminant",
    title="Linear discriminant",
    meaning="The highest of Fisher's linear discriminants, with its sign changed (after Ren et al. 2021).",
    several=False,
)
class Discriminant(Familiarity):
    """The highest of Fisher's linear discriminants, with its sign changed; not for several labels.

    Half the relative Mahalanobis distance (Ren et al. 2021) with one covariance for the classes and for all images
    together, which makes it linear: what sets the classes apart counts, and nothing else. `weight` (K, D) and `bias`
    (K,) act on features of unit length less their `centre` (D,).
    """

    kind = "discriminant"
    centre: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, classes: int, length: int) -> None:
        super().__init__(classes=classes, length=length)
        self.register_buffer("centre", torch.zeros(length))
        self.register_buffer("weight", torch.zeros(classes, length))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) to scores (N,)."""
        centred = functional.normalize(features, dim=1) - self.centre
        return -(centred @ self.weight.T + self.bias).amax(dim=1)

    @classmethod
    def fit(cls, known: Known) -> "Discriminant":
        """Class means against the mean of all; the common covariance is shrunk by 0.3 (Friedman 1989)."""
        variances, directions = known.within
        kept = (1 - SHRINKAGE_OF_DISCRIMINANT) * variances
        floor = max(SHRINKAGE_OF_DISCRIMINANT * variances.sum(), FINEST) / known.features.shape[1]
        apart = known.means - known.centre
        inverse = apart @ directions.T * (1 / (kept + floor) - 1 / floor) @ directions + apart / floor
        bias = -0.5 * (inverse * apart).sum(axis=1)
        return cls(*known.means.shape).filled(centre=known.centre, weight=inverse, bias=bias)


@FAMILIARITIES.register(
    "knn",
    title="Nearest neighbours",
    meaning="How far the k-th nearest training image lies (Sun et al. 2022).",
    several=True,
)
class Knn(Familiarity):
    """How far the k-th nearest image of training lies, on features of unit length (Sun et al. 2022).

    One less the cosine, which orders images as the distance does and is exact where that is small. `examples` (R, D)
    of unit length are kept of training.
    """

    kind = "knn"
    examples: Tensor

    def __init__(self, count: int, length: int, neighbours: int) -> None:
        super().__init__(count=count, length=length, neighbours=neighbours)
        self.neighbours = neighbours
        self.register_buffer("examples", torch.zeros(count, length))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) to scores (N,), 0 to 2."""
        cosines = functional.normalize(features, dim=1) @ self.examples.T
        return 1 - cosines.topk(self.neighbours, dim=1).values[:, -1]

    @classmethod
    def fit(cls, known: Known) -> "Knn":
        """At most 5,000 images of training are kept, drawn at random; the fifth nearest counts."""
        rows = np.arange(len(known.unit))
        if len(rows) > MOST_EXAMPLES:
            rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_EXAMPLES])
        score = cls(len(rows), known.unit.shape[1], min(NEIGHBOURS, len(rows)))
        return score.filled(examples=known.unit[rows])
