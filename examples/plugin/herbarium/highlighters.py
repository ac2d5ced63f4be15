"""The family of highlighters: where in an image a model looks."""

from collections.abc import Callable

from torch import Tensor

from linnaea.models.model import Model
from linnaea.registry import Registry

Highlighter = Callable[[Model, Tensor, Tensor], Tensor]
"""A model, pixels (N, 3, H, W) in [0, 1] and classes (N,) to how much each pixel speaks for its class (N, H, W)."""

HIGHLIGHTERS: Registry[Highlighter] = Registry(
    "highlighter", "herbarium", title="Highlighters", use="Chosen with `linnaea highlight --method`."
)
