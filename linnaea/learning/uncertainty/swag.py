"""SWAG: members drawn from a normal distribution of weights, as the end of a training wandered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from linnaea.errors import LinnaeaError
from linnaea.learning.job import Fitted, Job
from linnaea.learning.uncertainty.collecting import Collected, Weights, models_of
from linnaea.learning.uncertainty.contract import UNCERTAINTIES, Fit, Method
from linnaea.learning.uncertainty.making import with_ensemble
from linnaea.learning.uncertainty.rescheduled import SETS, rescheduled, without_stale_warnings

START, RANK = 0.6, 20  # of the training, after which the rate is constant and weights are collected; how many


@dataclass(frozen=True, eq=False)
class Swag:
    """A normal distribution of weights: their mean, with half of the variance of each alone and half of low rank.

    All of it is told by copies of the weights on their way (Maddox et al. 2019); `deviations` are those of the copies
    from their mean, and what is no decimal number is that of the last copy.
    """

    mean: Weights
    deviations: list[Weights]
    last: Weights

    @classmethod
    def of(cls, copies: Sequence[Weights]) -> "Swag":
        """The distribution that copies tell of; raises LinnaeaError for fewer than two."""
        if len(copies) < 2:
            raise LinnaeaError(
                "the training ended before two copies of its weights were there: give it more --epochs, or a longer "
                "--time-limit."
            )
        names = sorted(name for name, value in copies[0].items() if value.is_floating_point())  # however they were kept
        mean = {name: torch.stack([own[name].cpu() for own in copies]).mean(dim=0) for name in names}
        deviations = [{name: own[name].cpu() - mean[name] for name in names} for own in copies]
        return cls(mean, deviations, dict(copies[-1]))

    def draw(self, generator: torch.Generator) -> Weights:
        """Weights drawn from it."""
        shared = torch.randn(len(self.deviations), generator=generator) / (2 * (len(self.deviations) - 1)) ** 0.5
        return {**self.last, **{name: self._drawn(name, shared, generator) for name in self.mean}}

    def _drawn(self, name: str, shared: Tensor, generator: torch.Generator) -> Tensor:
        own = torch.stack([deviation[name] for deviation in self.deviations])
        alone = torch.randn(own.shape[1:], generator=generator) * (own.square().mean(dim=0) / 2).sqrt()
        drawn: Tensor = self.mean[name] + alone + torch.tensordot(shared.to(own.dtype), own, dims=1)
        return drawn


def fit_swag(fit: Fit, job: Job, members: int) -> Fitted:
    """One training that ends at a constant rate; copies of its weights there tell what members are drawn from."""
    collected = Collected([START + (1 - START) * (number + 1) / RANK for number in range(RANK)])
    fitted = fit(replace(rescheduled(job, "swa"), hooks=(*job.hooks, collected)))
    swag, generator = Swag.of(collected.weights), torch.Generator().manual_seed(job.options.seed)
    models = models_of(fitted, [swag.draw(generator) for _ in range(members)], job)
    note = (
        f"The probabilities are the mean over {members} members, drawn from the distribution that "
        f"{len(collected.weights)} copies of the weights tell of, from the last {1 - START:.0%} of the training."
    )
    return with_ensemble(without_stale_warnings(fitted), models, job, note)


UNCERTAINTIES.register(
    "swag",
    title="SWAG",
    meaning="Members drawn from a normal distribution around averaged weights (Maddox et al. 2019).",
    cost="hours",
    order=3,
    amount=("the number of members", 10, 2, 100),
)(Method(fit_swag, sets=SETS, collects=True))
