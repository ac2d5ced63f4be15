"""Triplets with batch-hard mining."""

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from linnaea.learning.objectives.beside import OfFeatures
from linnaea.learning.objectives.contract import OBJECTIVES, Setting


@OBJECTIVES.register(
    "triplet",
    title="Triplets",
    meaning="Each image nearer to the farthest of its class in the batch than to the nearest of another, by a margin.",
    order=2,
    tasks=("binary", "multiclass", "hierarchical"),
    balances=("draws", "pictures"),
    amount=("the margin", 0.3, 0, 2),
)
class Triplet(OfFeatures):
    """Batch-hard triplets (Hermans et al. 2017) on features of length 1, whose distances are 0 to 2.

    The head is learnt by cross-entropy beside, see `OfFeatures`.
    """

    @classmethod
    def made(cls, setting: Setting) -> Self:
        """One for this training."""
        return cls(setting)

    def of_features(self, features: Tensor, targets: Tensor) -> Tensor:
        """The mean of what triplets miss of the margin."""
        assert self.setting.amount is not None, "it takes a number"
        return batch_hard(features, targets, self.setting.amount)


def batch_hard(features: Tensor, targets: Tensor, margin: float) -> Tensor:
    """The mean over images of max(0, margin + farthest of the same class - nearest of another), of features (N, D).

    Distances are Euclidean between features of length 1. Images without another one of their class, or of another
    class, are left out; 0 where all are.
    """
    unit = functional.normalize(features, dim=1)
    distances = (2 - 2 * unit @ unit.T).clamp(min=1e-12).sqrt()  # at 0 a root has no finite slope
    same = targets[:, None] == targets
    others = same & ~torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    farthest = distances.masked_fill(~others, 0.0).amax(dim=1)
    nearest = distances.masked_fill(same, 2.0).amin(dim=1)
    usable = others.any(dim=1) & (~same).any(dim=1)
    missed = functional.relu(margin + farthest - nearest) * usable
    return missed.sum() / usable.sum().clamp(min=1)
