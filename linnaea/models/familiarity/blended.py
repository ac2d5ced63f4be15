"""A score made of others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnaea.arrays import Float64
from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity, suits
from linnaea.models.familiarity.known import Known
from linnaea.models.part import build_part

FINEST = 1e4  # times what rounding does to a part: no spread is finer
WEIGHTS = {"relative_energy": 1.0, "discriminant": 1.0, "mahalanobis": 0.5}


@FAMILIARITIES.register(
    "blend",
    title="Blend",
    meaning="Relative energy, discriminant and half of Mahalanobis, each in standard deviations. The default.",
    several=True,
)
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
        self.parts = nn.ModuleList(build_part(FAMILIARITIES, part) for part in parts)
        self.register_buffer("centres", torch.zeros(len(parts)))
        self.register_buffer("scales", torch.ones(len(parts)))
        self.register_buffer("floors", -torch.ones(len(parts)))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) and logits (N, K) to scores (N,), about 0 for known images."""
        scores = torch.stack([part(features, logits) for part in self.parts], dim=1)
        return torch.maximum((scores - self.centres) * self.scales, self.floors).sum(dim=1)

    @classmethod
    def fit(cls, known: Known) -> "Blend":
        """The parts, their mean and spread over known images not trained on, and a spread less as floor.

        A spread counts as at least ten thousand times what the rounding of features does to a part: where a network
        gives all images of a class nearly the same features, less than that is noise.
        """
        names = [name for name in WEIGHTS if suits(name, several=known.several)]
        parts = [FAMILIARITIES[name].fit(known) for name in names]
        blend = cls([part.describe() for part in parts])
        for own, part in zip(blend.parts, parts, strict=True):
            own.load_state_dict(part.state_dict())
        scores, rounded = (_scores(parts, *known.tensors(rounded=rounded)) for rounded in (False, True))
        finest = FINEST * np.sqrt(np.square(scores - rounded).mean(axis=0))
        weights = np.array([WEIGHTS[name] for name in names])
        scales = weights / np.maximum(np.maximum(scores.std(axis=0), finest), 1e-6)
        return blend.filled(centres=scores.mean(axis=0), scales=scales, floors=-weights)


def _scores(parts: Sequence[Familiarity], features: Tensor, logits: Tensor) -> Float64:
    """What each part says (M, P)."""
    return np.stack([part(features, logits).numpy() for part in parts], axis=1).astype(np.float64)
