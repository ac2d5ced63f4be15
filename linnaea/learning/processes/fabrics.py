"""The Fabric that a network is trained with: on one device, or on one of several per process."""

import logging
from inspect import signature
from typing import Any

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
from lightning_fabric.strategies.strategy import Strategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from linnaea.learning.processes.party import shared, strategy
from linnaea.runtime.plan import Plan

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its number format at every set-up
FORMATS: "dict[str, Any]" = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}  # Fabric's names


def fabric_for(plan: Plan, *, steady: bool = True) -> Fabric:
    """A launched Fabric for the device and the number format of a plan, of all processes where they work together.

    `steady` says that the same weights learn all the time.
    """
    place, precision = shared(), FORMATS[plan.precision]
    if not place.several:
        return Fabric(accelerator=plan.device, devices=1, precision=precision)
    fabric = Fabric(
        accelerator=plan.device,
        devices=place.local_ranks,
        num_nodes=place.ranks // place.local_ranks,
        strategy=_fully_sharded(place.ranks) if strategy() == "fsdp" else _replicated(steady),
        precision=precision,
        plugins=[TorchElasticEnvironment()],
    )
    fabric.launch()
    return fabric


def _replicated(steady: bool) -> Strategy:
    """Every process has the whole network; gradients are averaged, and statistics once per epoch."""
    known = signature(DistributedDataParallel).parameters
    still = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # as older torch has it
    options: Any = {still: False, "static_graph": steady, "find_unused_parameters": not steady}
    return DDPStrategy(**options)


def _fully_sharded(ranks: int) -> Strategy:
    """Every process has a part of each weight, its gradient and what the optimizer keeps of it (FSDP2)."""

    def shard(network: nn.Module, mesh: Any) -> nn.Module:
        from torch.distributed.fsdp import fully_shard

        for part in reversed(list(network.modules())):  # inner blocks before those around them
            if isinstance(part, nn.Sequential | nn.ModuleList):
                for block in reversed(list(part.children())):
                    if not isinstance(block, nn.ModuleList) and any(True for _ in block.children()):
                        fully_shard(block, mesh=mesh["data_parallel"], reshard_after_forward=True)
        fully_shard(network, mesh=mesh["data_parallel"], reshard_after_forward=True)
        return network

    return ModelParallelStrategy(shard, data_parallel_size=ranks, tensor_parallel_size=1)
