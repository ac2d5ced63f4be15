"""Copies of a network's weights on its way, and the models that they make."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from linnaea.learning.hooks import Hook, State
from linnaea.learning.job import Fitted, Job
from linnaea.learning.normalisation import IMAGES, renew_statistics
from linnaea.models.model import Model
from linnaea.runtime.plan import Plan

ROUNDING = 1e-9
Weights = dict[str, Tensor]


@dataclass
class Collected(Hook):
    """Copies of the weights as they were when the training reached each of some points, shares of it from 0 to 1.

    Where it ends at its deadline, the last of them is what it ended with.
    """

    points: Sequence[float]
    weights: list[Weights] = field(default_factory=list)
    passed: int = 0

    def after_step(self, state: State) -> None:
        """Copy them where the step reached a point."""
        reached = sum(state.progress >= point - ROUNDING for point in self.points)
        if reached > self.passed:
            self.passed = reached
            self.weights.append(_copied(state))

    def end(self, state: State) -> None:
        """Copy what is there where the last point was not reached."""
        if self.passed < len(self.points):
            self.passed = len(self.points)
            self.weights.append(_copied(state))

    def tensors(self) -> Weights:
        """The copies, and how many points were passed."""
        kept = {f"{place}/{name}": value for place, own in enumerate(self.weights) for name, value in own.items()}
        return {**kept, "passed": torch.tensor(self.passed)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take them back."""
        self.passed, found = int(tensors["passed"]), dict[int, Weights]()
        for name, value in tensors.items():
            place, _, rest = name.partition("/")
            if rest:
                found.setdefault(int(place), {})[rest] = value
        self.weights = [found[place] for place in sorted(found)]


def models_of(fitted: Fitted, weights: Sequence[Weights], job: Job) -> list[Model]:
    """The fitted model with each of these weights, its batch normalisation estimated anew on training images."""
    plan = Plan.from_json({**fitted.plan, "device": job.options.device})
    found: list[Model] = []
    for own in weights:
        model = copy.deepcopy(fitted.model)
        model.load_state_dict({name: value.to(model.device) for name, value in own.items()})
        renew_statistics(model, job.subset(IMAGES), plan.batch_size or len(job.train), plan, job.options.seed)
        found.append(model.eval())
    return found


def _copied(state: State) -> Weights:
    return {name: value.detach().clone() for name, value in state.model.state_dict().items()}
