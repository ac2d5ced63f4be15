"""What a network is fed: the first batch of its training as it sees it, for people to look at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from linnaea.learning.batches import Batches
from linnaea.learning.hooks import Hook, State
from linnaea.learning.objectives import Objective

Show = Callable[[Tensor, Tensor], None]
"""Is given images (B, 3, S, S) of uint8 and targets (B,) or (B, K), those of mixed images in shares."""


@dataclass
class Fed(Hook):
    """Shows the first batch once, before the first step, augmented and mixed as it will be by the training's `seed`.

    Nothing random of the training is used up by it.
    """

    batches: Batches
    objective: Objective
    seed: int
    show: Show

    def begin(self, state: State) -> None:
        """Show it, but for a training that goes on."""
        if state.history or not state.first:
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            batch = next(self.batches.epoch(self.seed).batches, None)
            seen: Any = getattr(self.objective, "seen", None)
            if isinstance(batch, tuple) and batch[0].dtype == torch.uint8:
                self.show(*(batch if seen is None else seen(*batch)))
