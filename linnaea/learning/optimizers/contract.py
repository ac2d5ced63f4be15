"""The contract of an optimizer, and the rate it learns at unless told otherwise."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from linnaea.learning.amounts import look_up
from linnaea.learning.optimizers.groups import parameter_groups
from linnaea.registry import Registry

Groups = list[dict[str, Any]]
Build = Callable[[Groups, float], torch.optim.Optimizer]
BATCHES = {"from_scratch": 256, "fine_tuning": 32}  # images per step that the usual rates are for

OPTIMIZERS: Registry[Build] = Registry(
    "optimizer",
    "linnaea.learning.optimizers",
    title="Optimizers",
    use="Chosen with `linnaea train --optimizer`; the number after the name is the weight decay.",
)
"""A member makes an optimizer from groups of parameters and a rate.

Groups have `params`, `weight_decay`, which is 0 for vectors, `rate_scale`, and `orthogonal`, which is true of the
matrices and convolutions before the head. Capabilities: `amount`, the weight decay; `from_scratch` and `fine_tuning`,
the usual rates for steps of 256 and of 32 images; `scaling`, how they follow the images per step: "linear" (Goyal et
al. 2017) or "root" (Malladi et al. 2022); `schedule`, where it has one of its own.
"""


def make_optimizer(
    name: str, model: nn.Module, rate: float, *, layer_decay: float | None = None
) -> torch.optim.Optimizer:
    """The optimizer that `name` or `name:decay` stands for, for all parameters of the model that are to be trained.

    With `layer_decay` each layer of the body learns at this many times the rate of the one after it. Raises UsageError
    as `look_up` does.
    """
    build, decay = look_up(OPTIMIZERS, name)
    assert decay is not None, "an optimizer takes a number"
    return build(parameter_groups(model, decay, layer_decay), rate)


def usual_rate(name: str, start: str, images: int) -> float:
    """The highest rate for steps of so many images, `start` being "from_scratch" or "fine_tuning"."""
    told = OPTIMIZERS.about(name.partition(":")[0]).capabilities
    usual, power = told[start], {"linear": 1.0, "root": 0.5}[str(told["scaling"])]
    assert isinstance(usual, float), "a rate is a number"
    return float(usual * (images / BATCHES[start]) ** power)


def usual_schedule(name: str | None) -> str | None:
    """The schedule that an optimizer asks for; None where it takes any."""
    if name is None:
        return None
    schedule = OPTIMIZERS.about(name.partition(":")[0]).capabilities.get("schedule")
    return None if schedule is None else str(schedule)
