"""The exponential moving average of a network's weights: a smoother network than any single step leaves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from linnaea.learning.hooks import Hook, State


@dataclass
class Averaged(Hook):
    """Weights averaged over the steps (Polyak and Juditsky 1992), old ones counting `decay` times as much per step.

    Early in a training the average is that of all steps so far: decay is at most (1 + steps) / (10 + steps). Buffers
    with decimals, such as running means, are averaged as well; counters are copied.
    """

    decay: float = 0.999
    weights: dict[str, Tensor] = field(default_factory=dict)
    steps: int = 0

    def begin(self, state: State) -> None:
        """Start from the weights as they are."""
        self.weights = {name: value.detach().clone() for name, value in state.model.state_dict().items()}

    @torch.no_grad()
    def after_step(self, state: State) -> None:
        """Move towards the weights of this step."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in state.model.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, share)
            else:
                self.weights[name].copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """The averages, and the number of steps."""
        return {"steps": torch.tensor(self.steps), **{f"weights/{name}": value for name, value in self.weights.items()}}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from these averages."""
        self.steps = int(tensors["steps"])
        for name, value in self.weights.items():
            value.copy_(tensors[f"weights/{name}"])

    @contextmanager
    def shown(self, model: nn.Module) -> Iterator[None]:
        """Meanwhile the model has the averaged weights; afterwards its own again."""
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.weights)
        try:
            yield
        finally:
            model.load_state_dict(own)
