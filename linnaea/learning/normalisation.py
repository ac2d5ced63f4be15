"""Statistics of batch normalisation that belong to the weights as they are, also after a few steps.

Running means are a memory of some tens of steps: in a short training they still hold those of the first weights, and a
network that has learnt answers as if it had not (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm").
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from linnaea.learning.examples import Examples
from linnaea.learning.hooks import Hook, State
from linnaea.learning.processes.statistics import normalising
from linnaea.runtime.plan import Plan

STEPS = 1_000  # of a training, after which running statistics are near enough
IMAGES = 1_000  # at the most


@dataclass
class Estimated(Hook):
    """Estimates the statistics anew after each epoch, as long as few `steps` of the optimizer were taken.

    It looks at `examples` in batches of the size that is trained with, in random order by `seed`; what is drawn for
    the training is left alone. It comes before what judges. Statistics that are kept as they were are not touched.
    """

    examples: Examples
    batch_size: int
    plan: Plan
    steps_per_epoch: int
    seed: int = 0

    def figures(self, state: State) -> Mapping[str, float]:
        """Look at the images; there are no figures to tell."""
        if (len(state.history) + 1) * self.steps_per_epoch <= STEPS:
            norms = _estimated_in(state.model)
            if norms:
                _estimate(state.network, norms, self.examples, self.batch_size, self.plan, self.seed)
        return {}


def renew_statistics(network: nn.Module, examples: Examples, batch_size: int, plan: Plan, seed: int = 0) -> None:
    """Estimate the running statistics of a network anew, as `Estimated` does; those that it keeps are not touched."""
    norms = _estimated_in(network)
    if norms:
        _estimate(network, norms, examples, batch_size, plan, seed)


def _estimated_in(network: nn.Module) -> list[_BatchNorm]:
    return [norm for _, _, norm in normalising(network) if norm.track_running_stats]


@torch.no_grad()
def _estimate(
    network: nn.Module, norms: list[_BatchNorm], examples: Examples, batch_size: int, plan: Plan, seed: int
) -> None:
    usual, before = [norm.momentum for norm in norms], network.training
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    generator = torch.Generator().manual_seed(seed)
    for rows in torch.split(torch.randperm(len(examples), generator=generator), batch_size):
        if len(rows) > 1 or len(examples) == 1:
            images, _ = examples.batch(rows.numpy())
            network(images.to(plan.device).float().div_(255).contiguous(memory_format=plan.layout))
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    network.train(before)
