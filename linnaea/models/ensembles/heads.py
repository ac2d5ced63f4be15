"""Several linear heads on one body."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from linnaea.errors import UsageError
from linnaea.models.ensembles.mixture import Mixture
from linnaea.models.model import MODELS, Model, said
from linnaea.models.part import build_part
from linnaea.runtime.arguments import COLOUR

FEWEST = 2


@MODELS.register("heads", title="Several heads", meaning="One body with several linear heads, which are averaged.")
class Heads(Mixture):
    """A model with `heads` linear heads in place of its own: the body is looked through once.

    `body` is the description of the model. What heads differ in is whatever made them: dropout, or draws from the
    posterior of the last layer.
    """

    kind = "heads"
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        classes: int,
        size: int,
        length: int,
        heads: int,
        body: Mapping[str, Any],
        several: bool = False,
        channels: int = COLOUR,
    ) -> None:
        if heads < FEWEST:
            raise UsageError(f"heads is {heads}; expected at least {FEWEST}.")
        super().__init__(
            classes=classes,
            size=size,
            length=length,
            heads=heads,
            body=dict(body),
            several=several,
            **said(channels),
        )
        self.several = several
        self.body: Model = build_part(MODELS, body)
        self.register_buffer("weight", torch.zeros(heads, classes, length))
        self.register_buffer("bias", torch.zeros(heads, classes))
        self.pixels_per_batch, self.tiny, self.scorer = self.body.pixels_per_batch, self.body.tiny, self.body.scorer

    @classmethod
    def of(cls, model: Model, weight: Tensor, bias: Tensor, size: int, *, several: bool) -> "Heads":
        """The model, which it takes over as it is, with heads of these weights (M, K, D) and biases (M, K)."""
        heads, classes, length = weight.shape
        made = cls(classes, size, length, heads, model.describe(), several, model.channels)
        made.body = model
        made.weight, made.bias = weight.to(model.device, torch.float32), bias.to(model.device, torch.float32)
        return made.eval()

    def features(self, pixels: Tensor) -> Tensor:
        """Those of the body, shape (N, D)."""
        return self.body.features(pixels)

    def members(self, features: Tensor) -> Tensor:
        """What each head says of features (N, D), raw scores (N, M, K)."""
        flat = features @ self.weight.flatten(0, 1).T + self.bias.flatten()
        return flat.reshape(-1, *self.bias.shape)
