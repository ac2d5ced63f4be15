"""A network and its optimizer, as one process has them or as several share them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from linnaea.learning.hooks import State
from linnaea.learning.processes.sharing import own_noise
from linnaea.learning.processes.statistics import average_statistics, in_step


@contextmanager
def set_up(fabric: Fabric, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[State]:
    """The state of a training that begins; whatever is changed in the model for it is as before afterwards."""
    sharded = isinstance(fabric.strategy, ModelParallelStrategy)
    trained, own = deepcopy((model, optimizer)) if sharded else (model, optimizer)
    with own_noise(trained), in_step(trained, fabric.device):
        if sharded:
            yield _sharded(fabric, model, optimizer, trained, own)
        else:
            network, wrapped = fabric.setup(trained, own)
            yield State(model, network, wrapped, gather=lambda: average_statistics(model), **_place(fabric))


class Sharded:
    """An optimizer of parts of weights, `own`; what it keeps is that of `whole`, whose weights are whole.

    `gather` and `spread` bring what is kept from one to the other, in all processes at once.
    """

    def __init__(self, own: Any, whole: torch.optim.Optimizer) -> None:
        self.own, self.whole = own, whole
        self.step, self.zero_grad = own.step, own.zero_grad

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups that learn."""
        groups: list[dict[str, Any]] = self.own.param_groups
        return groups

    @property
    def state(self) -> Any:
        """What is kept of each whole weight."""
        return self.whole.state

    def state_dict(self) -> dict[str, Any]:
        """As it was when it was last gathered."""
        return self.whole.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take this back; to be spread."""
        self.whole.load_state_dict(dict(state))

    def gather(self) -> None:
        """From parts to wholes."""
        for mine, group in zip(self.own.param_groups, self.whole.param_groups, strict=True):
            group |= {name: value for name, value in mine.items() if name != "params"}
            for part, weight in zip(mine["params"], group["params"], strict=True):
                slots = self.own.state.get(part, {})
                self.whole.state[weight] = {slot: _whole(value) for slot, value in slots.items()}

    def spread(self) -> None:
        """From wholes to parts."""
        for mine, group in zip(self.own.param_groups, self.whole.param_groups, strict=True):
            mine |= {name: value for name, value in group.items() if name != "params"}
            for part, weight in zip(mine["params"], group["params"], strict=True):
                slots = self.whole.state.get(weight, {})
                self.own.state[part] = {slot: _part(value, part) for slot, value in slots.items()}


def _sharded(
    fabric: Fabric, model: nn.Module, optimizer: torch.optim.Optimizer, copy: nn.Module, own: torch.optim.Optimizer
) -> State:
    """`model` stays whole, and lies still; a copy of it, of which each process has a part, is trained."""
    names = {parameter: name for name, parameter in copy.named_parameters()}
    network = fabric.setup_module(copy.to(fabric.device).to(memory_format=torch.contiguous_format))
    parts = dict(copy.named_parameters())
    for group in own.param_groups:
        group["params"] = [parts[names[parameter]] for parameter in group["params"]]
    shared = Sharded(fabric.setup_optimizers(own), optimizer)

    @torch.no_grad()
    def gather() -> None:
        average_statistics(copy)
        wholes = model.state_dict()
        for name, value in copy.state_dict().items():
            wholes[name].copy_(_whole(value))
        shared.gather()

    @torch.no_grad()
    def spread() -> None:
        wholes = model.state_dict()
        for name, value in copy.state_dict().items():
            value.copy_(_part(wholes[name], value))
        shared.spread()

    taken: Any = shared
    return State(model, network, taken, gather=gather, spread=spread, **_place(fabric))


def _place(fabric: Fabric) -> dict[str, Any]:
    first, alone = fabric.is_global_zero, fabric.world_size == 1
    return {"first": first, "alone": alone, "scaling": fabric.strategy.precision}


def _whole(value: Any) -> Any:
    """All of a tensor, on the processor."""
    if not isinstance(value, Tensor):
        return value
    whole = value.full_tensor() if isinstance(value, DTensor) else value
    return whole.detach().cpu().clone()


def _part(value: Any, like: Tensor) -> Any:
    """This process's part of a tensor that belongs to a weight of which it has the part `like`."""
    if not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    whole = value.detach().to(like.device).contiguous()
    return distribute_tensor(whole, like.device_mesh, like.placements) if isinstance(like, DTensor) else whole
