"""The family of attacks: images changed a little, so that a model errs."""

from collections.abc import Callable

from torch import Tensor

from linnaea.models.model import Model
from linnaea.registry import Registry

Attack = Callable[[Model, Tensor, Tensor, float], Tensor]
"""A model, pixels (N, 3, H, W) in [0, 1], classes (N,) and how much a pixel may change, to changed pixels."""

ATTACKS: Registry[Attack] = Registry(
    "attack", "herbarium", title="Attacks", use="Chosen with `linnaea attack --method`."
)
