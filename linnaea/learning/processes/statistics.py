"""Batch normalisation of a batch that several processes share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from linnaea.learning.processes.party import shared


def normalising(model: nn.Module) -> list[tuple[nn.Module, str, _BatchNorm]]:
    """The layers that normalise by what they see while they train, each with what it is part of and its name there."""
    before = model.training
    model.train()
    found = [
        (part, name, child)
        for part in model.modules()
        for name, child in part.named_children()
        if isinstance(child, _BatchNorm) and child.training
    ]
    model.train(before)
    return found


@contextmanager
def in_step(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Meanwhile the whole batch is normalised alike, where this can be: on CUDA (torch's SyncBatchNorm).

    Weights and statistics stay the same tensors.
    """
    together: Any = convert_sync_batchnorm
    swapped = normalising(model) if shared().several and device.type == "cuda" else []
    for part, name, child in swapped:
        setattr(part, name, together(child))
    try:
        yield
    finally:
        for part, name, child in swapped:
            setattr(part, name, child)


def average_statistics(network: nn.Module) -> None:
    """Let all processes have the mean of their running statistics."""
    place = shared()
    if not place.several:
        return
    for buffer in network.buffers():
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer.div_(place.ranks)
