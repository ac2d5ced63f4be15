"""A score made of others."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity, build_familiarity


@FAMILIARITIES.register("blend")
class Blend(Familiarity):
    """Relative energy, discriminant and half of Mahalanobis, each in standard deviations over known images.

    The first two tell new kinds of what is known, the third things of another world. `centres` (P,) and `scales` (P,)
    are taken off the `parts` and multiplied with them; what comes out is at least `floors` (P,), so that a head that is
    surer of a strange thing than of any known one does not outvote the distance to all of them.
    """

    kind = "blend"
    centres: Tensor
    scales: Tensor
    floors: Tensor

    def __init__(self, parts: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(parts=list(parts))
        self.parts = nn.ModuleList(build_familiarity(part) for part in parts)
        self.register_buffer("centres", torch.zeros(len(parts)))
        self.register_buffer("scales", torch.ones(len(parts)))
        self.register_buffer("floors", -torch.ones(len(parts)))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) and logits (N, K) to scores (N,), about 0 for known images."""
        scores = torch.stack([part(features, logits) for part in self.parts], dim=1)
        return torch.maximum((scores - self.centres) * self.scales, self.floors).sum(dim=1)
