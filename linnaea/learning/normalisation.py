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
            norms = [norm for _, _, norm in normalising(state.model) if norm.track_running_stats]
            if norms:
                self._estimate(state.network, norms)
        return {}

    @torch.no_grad()
    def _estimate(self, network: nn.Module, norms: list[_BatchNorm]) -> None:
        usual, before = [norm.momentum for norm in norms], network.training
        network.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
            norm.train()
        generator = torch.Generator().manual_seed(self.seed)
        for rows in torch.split(torch.randperm(len(self.examples), generator=generator), self.batch_size):
            if len(rows) > 1 or len(self.examples) == 1:
                images, _ = self.examples.batch(rows.numpy())
                network(images.to(self.plan.device).float().div_(255).contiguous(memory_format=self.plan.layout))
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum
        network.train(before)
