"""What an objective trains beside the model: in the optimizer and in checkpoints, never in the classifier."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from linnaea.learning.hooks import Hook, State
from linnaea.learning.objectives.contract import Accompanied, Objective

Build = Callable[[nn.Module, float], torch.optim.Optimizer]


@dataclass
class Company(Hook):
    """Tells an objective how many epochs are done, and what it trains to checkpoints."""

    objective: Accompanied

    def after_epoch(self, state: State) -> None:
        """One more."""
        self.objective.epochs_done = len(state.history)

    def tensors(self) -> dict[str, Tensor]:
        """Weights and buffers of what is trained beside the model, and the epochs."""
        own = {f"own/{name}": value for name, value in self.objective.own.state_dict().items()}
        return {"epochs_done": torch.tensor(self.objective.epochs_done), **own}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take them back."""
        self.objective.epochs_done = int(tensors["epochs_done"])
        self.objective.own.load_state_dict(
            {name: tensors[f"own/{name}"] for name in self.objective.own.state_dict()},
        )


def company_of(objective: Objective) -> list[Hook]:
    """The hook of an objective that trains more than the model; none of others."""
    return [Company(objective)] if isinstance(objective, Accompanied) else []


def join(
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    build: Build | None,
    rate: float,
    layout: torch.memory_format,
) -> None:
    """Let the optimizer train what the objective has of its own, in groups as `build` makes them of a network."""
    if not isinstance(objective, Accompanied):
        return
    objective.own.to(memory_format=layout)
    plain = [{"params": list(objective.own.parameters())}]
    for group in plain if build is None else build(objective.own, rate).param_groups:
        optimizer.add_param_group(group)


def accompany(objective: Objective, fabric: Fabric) -> None:
    """Set up what the objective has of its own as the model is, on the device and in the processes of the training."""
    if isinstance(objective, Accompanied):
        objective.own = fabric.setup_module(objective.own.train())
