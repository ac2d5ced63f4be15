"""The family of explainers: where in an image a model looks."""

from collections.abc import Callable

from torch import Tensor

from linnaea.models.model import Model
from linnaea.registry import Registry

Explainer = Callable[[Model, Tensor, Tensor], Tensor]
"""A model, pixels (N, 3, H, W) in [0, 1] and classes (N,) to how much each pixel speaks for its class (N, H, W)."""

EXPLAINERS: Registry[Explainer] = Registry(
    "explainer", "herbarium", title="Explainers", use="Chosen with `linnaea explain --method`."
)
