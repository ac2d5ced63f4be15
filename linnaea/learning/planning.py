"""The execution plan of a training: what is fastest forward and backward, measured before the first epoch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnaea.learning.examples import Examples
from linnaea.learning.objectives import Objective
from linnaea.models.embedding import identity
from linnaea.models.model import Model
from linnaea.runtime.machine import prepare_processor
from linnaea.runtime.plan import SECONDS, Plan, Workload, measure, training_bytes

COMPARED = 4  # images whose features are compared between plans
COPIES = 6  # of the parameters: weights, gradients, two moments of the optimizer, the best ones, those to be written


@dataclass(frozen=True)
class Wanted:
    """What was asked for of a plan, and the most `seconds` that measuring may take; `anew` even if it is remembered."""

    device: str = "cpu"
    precision: str = "auto"
    memory_format: str = "auto"
    seconds: float = SECONDS
    anew: bool = False


@dataclass(frozen=True)
class Rehearsal:
    """Steps of a training that are taken to be timed, and the features they are compared by.

    `buffers` are those that the model came with: steps change the running statistics.
    """

    model: Model
    train: Examples
    objective: Objective
    buffers: Sequence[Tensor]

    def loss(self, number: int, plan: Plan) -> Tensor:
        """The loss of so many images."""
        batch = self._batch(number, plan)
        self.model.train().to(memory_format=plan.layout)
        with plan.autocast():
            return self.objective(self.model, batch)[0]

    def step(self, plan: Plan) -> bool:
        """Go forward and backward; whether all that came of it is finite."""
        self.model.zero_grad(set_to_none=True)
        assert plan.batch_size is not None, "candidates have one"
        value = self.loss(plan.batch_size, plan)
        torch.autograd.backward(value)
        made = [value, *(part.grad for part in self.model.parameters() if part.grad is not None)]
        return all(bool(torch.isfinite(part).all()) for part in made)

    @torch.no_grad()
    def answers(self, plan: Plan) -> Tensor:
        """The features of a few images: the logits of a network that has learnt nothing hardly differ."""
        for buffer, kept in zip(self.model.buffers(), self.buffers, strict=True):
            buffer.copy_(kept)
        self.model.eval().to(memory_format=plan.layout)
        pixels = self._batch(COMPARED, plan)[0].float().div_(255)
        with plan.autocast():
            return self.model.features(pixels).float().cpu()

    def _batch(self, number: int, plan: Plan) -> tuple[Tensor, Tensor]:
        """Images (n, 3, S, S) and targets (n,) or (n, K), from all parts of the training images."""
        rows = np.linspace(0, len(self.train) - 1, number).round().astype(np.int64)
        images, targets = self.train.batch(rows)
        return images.contiguous(memory_format=plan.layout).to(plan.device), targets.to(plan.device)


def measure_training(
    model: Model,
    train: Examples,
    objective: Objective,
    batch_size: int,
    *,
    images: int,
    given: bool = False,
    most: int | None = None,
    wanted: Wanted = Wanted(),
) -> Plan:
    """The fastest plan for forward and backward passes on this machine, see `linnaea.runtime.plan.measure`.

    `images` is how many the network will be trained on, all epochs counted; `given` says that `batch_size` was asked
    for by hand, and stays; with `most` it may grow to that many for as long as that is faster. Formats are compared by
    features in evaluation mode. Weights, buffers and random numbers are left as they were.
    """
    prepare_processor()
    model.to(wanted.device)
    rehearsal = Rehearsal(model, train, objective, [buffer.clone() for buffer in model.buffers()])
    few, plain = min(2, batch_size), Plan(wanted.device)

    def first() -> Tensor:
        return rehearsal.loss(few, plain)

    with _untouched(model):
        workload = Workload(
            identity(model),
            "train",
            train.images.shape[1:],
            images,
            batch_size,
            rehearsal.step,
            rehearsal.answers,
            image_bytes=training_bytes(model, first) / few,
            fixed_bytes=COPIES * sum(part.numel() * part.element_size() for part in model.parameters()),
            given=given,
            most=most,
            unfit=narrow_maps(model, first) if torch.device(wanted.device).type == "cpu" else "",
        )
        return measure(
            wanted.device,
            workload,
            precision=wanted.precision,
            memory_format=wanted.memory_format,
            seconds=wanted.seconds,
            anew=wanted.anew,
        )


def narrow_maps(model: nn.Module, forward: Callable[[], object]) -> str:
    """Why a processor cannot train this in 16 bits, as the end of a sentence that begins with the number format.

    oneDNN (seen in 3.13) computes the gradient of a convolution's weights in bfloat16 from memory that nobody wrote to
    where a map is narrower than the stride: now and then NaN, mostly numbers that mean nothing. "" where no map is.
    """
    found: list[str] = []

    def look(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(module, nn.Conv2d)
        width, stride = inputs[0].shape[-1], module.stride[1]
        if width < stride and max(module.kernel_size) > 1:
            found.append(f"gives wrong gradients where a stride of {stride} meets a feature map {width} wide, as here")

    hooks = [part.register_forward_pre_hook(look) for part in model.modules() if isinstance(part, nn.Conv2d)]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else ""


@contextmanager
def _untouched(model: Model) -> Iterator[None]:
    """Whatever is done meanwhile leaves no trace in weights, buffers, gradients, mode and random numbers."""
    before, training = {name: value.clone() for name, value in model.state_dict().items()}, model.training
    try:
        with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
            yield
    finally:
        model.zero_grad(set_to_none=True)
        model.load_state_dict(before)
        model.train(training)
