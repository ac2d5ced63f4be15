"""The execution plan of a training: what is fastest forward and backward, measured before the first epoch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnaea.learning.examples import Examples
from linnaea.learning.losses import Criterion
from linnaea.models.embedding import identity
from linnaea.models.model import Model
from linnaea.runtime.machine import prepare_processor
from linnaea.runtime.plan import SECONDS, Plan, Workload, measure, training_bytes

COMPARED = 4  # images whose features are compared between plans
COPIES = 6  # of the parameters: weights, gradients, two moments of the optimizer, the best ones, those to be written


def measure_training(
    model: Model,
    train: Examples,
    criterion: Criterion,
    batch_size: int,
    *,
    images: int,
    given: bool = False,
    device: str = "cpu",
    precision: str = "auto",
    memory_format: str = "auto",
    seconds: float = SECONDS,
    anew: bool = False,
) -> Plan:
    """The fastest plan for forward and backward passes on this machine, see `linnaea.runtime.plan.measure`.

    `images` is how many the network will be trained on, all epochs counted; `given` says that `batch_size` was asked
    for by hand, and stays. Formats are compared by features in evaluation mode: the logits of a network that has learnt
    nothing hardly differ between images. Weights, buffers and random numbers are left as they were.
    """
    prepare_processor()
    model.to(device)
    buffers = [buffer.clone() for buffer in model.buffers()]

    def pixels(number: int, plan: Plan) -> tuple[Tensor, Tensor]:
        """Pixels (n, 3, S, S) and targets (n,) or (n, K), from all parts of the training images."""
        drawn, targets = train.batch(np.linspace(0, len(train) - 1, number).round().astype(np.int64))
        return drawn.to(device).float().div_(255).contiguous(memory_format=plan.layout), targets.to(device)

    def loss(number: int, plan: Plan) -> Tensor:
        inputs, targets = pixels(number, plan)
        model.train().to(memory_format=plan.layout)
        with plan.autocast():
            logits = model(inputs)
        return criterion.mean(logits, targets)

    def step(plan: Plan) -> bool:
        model.zero_grad(set_to_none=True)
        value = loss(plan.batch_size or batch_size, plan)
        torch.autograd.backward(value)
        made = [value, *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]
        return all(bool(torch.isfinite(part).all()) for part in made)

    @torch.no_grad()
    def answers(plan: Plan) -> Tensor:
        for buffer, kept in zip(model.buffers(), buffers, strict=True):  # steps change the running statistics
            buffer.copy_(kept)
        model.eval().to(memory_format=plan.layout)
        with plan.autocast():
            return model.features(pixels(COMPARED, plan)[0]).float().cpu()

    with _untouched(model):
        few = min(2, batch_size)
        workload = Workload(
            identity(model),
            "train",
            train.images.shape[1:],
            images,
            batch_size,
            step,
            answers,
            image_bytes=training_bytes(model, lambda: loss(few, Plan(device))) / few,
            fixed_bytes=COPIES * sum(part.numel() * part.element_size() for part in model.parameters()),
            given=given,
            unfit=narrow_maps(model, lambda: loss(few, Plan(device))) if torch.device(device).type == "cpu" else "",
        )
        return measure(device, workload, precision=precision, memory_format=memory_format, seconds=seconds, anew=anew)


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
