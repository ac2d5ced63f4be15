"""Weights that are zero and stay so while the others learn."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from linnaea.learning.hooks import Hook, State


@dataclass
class ZerosKept(Hook):
    """Sets matrices and filters to zero again where they were before the first step."""

    places: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def begin(self, state: State) -> None:
        """Remember where zeros are."""
        matrices = (one for one in state.model.parameters() if one.ndim > 1)
        self.places = [(one, one == 0) for one in matrices]

    @torch.no_grad()
    def after_step(self, state: State) -> None:
        """Set them to zero again."""
        for weight, zero in self.places:
            weight.masked_fill_(zero, 0.0)
