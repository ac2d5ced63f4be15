"""Whole models side by side."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError
from linnaea.models.ensembles.mixture import Mixture
from linnaea.models.model import MODELS, Model, said
from linnaea.models.part import build_part
from linnaea.models.resizing import averaged_to
from linnaea.runtime.arguments import COLOUR

FEWEST = 2


@MODELS.register("ensemble", title="Ensemble", meaning="Several whole models, whose probabilities are averaged.")
class Ensemble(Mixture):
    """Models that see the same images, each at the size it was trained with, and answer by their mean probabilities.

    `members` are their descriptions, `temperatures` what the raw scores of each are divided by (none: by nothing).
    Features are those of the first, followed by what each says: raw scores of all.
    """

    kind = "ensemble"

    def __init__(
        self,
        classes: int,
        size: int,
        members: Sequence[Mapping[str, Any]],
        several: bool = False,
        channels: int = COLOUR,
        temperatures: Sequence[float] = (),
    ) -> None:
        if len(members) < FEWEST:
            raise UsageError(f"an ensemble of {len(members)} is none: expected at least {FEWEST} members.")
        if len(temperatures) not in (0, len(members)) or not all(value > 0 for value in temperatures):
            raise UsageError(
                f"temperatures are {list(temperatures)}; expected a number above 0 for each of {len(members)} members."
            )
        super().__init__(
            classes=classes,
            size=size,
            members=[dict(member) for member in members],
            several=several,
            temperatures=list(temperatures),
            **said(channels),
        )
        self.several, self.temperatures = several, tuple(temperatures) or (1.0,) * len(members)
        self.networks = nn.ModuleList(build_part(MODELS, member) for member in members)
        for number, model in enumerate(self.models):
            _require_fitting(number, model, classes, channels)
        self.scorer = next((model.scorer for model in self.models if model.scorer != "torch"), "torch")
        self.pixels_per_batch = min(model.pixels_per_batch for model in self.models)
        self.tiny = all(model.tiny for model in self.models)

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        classes: int,
        size: int,
        *,
        several: bool,
        channels: int,
        temperatures: Sequence[float] = (),
    ) -> "Ensemble":
        """The ensemble of fitted models, which it takes over as they are."""
        made = cls(classes, size, [model.describe() for model in models], several, channels, temperatures)
        made.networks = nn.ModuleList(models)
        return made.eval()

    @property
    def models(self) -> list[Model]:
        """The members."""
        return [model for model in self.networks if isinstance(model, Model)]

    @property
    def unexportable(self) -> str:
        """That of the first member that is."""
        reasons = ((number, model.unexportable) for number, model in enumerate(self.models, 1))
        return next((f"member {number} cannot: {reason}" for number, reason in reasons if reason), "")

    def plain(self) -> Model:
        """The ensemble of its members as they leave."""
        if all(model.plain() is model for model in self.models):
            return self
        copied = copy.copy(self)
        copied._modules = {**self._modules, "networks": nn.ModuleList(model.plain() for model in self.models)}
        return copied

    def features(self, pixels: Tensor) -> Tensor:
        """The first member's features and the raw scores of all, shape (N, D + M K)."""
        found: list[Tensor] = []
        for model, temperature in zip(self.models, self.temperatures, strict=True):
            features = model.features(averaged_to(pixels, int(model.arguments.get("size", pixels.shape[-1]))))
            scores = model.head(features) / temperature
            found += [scores] if found else [features, scores]
        return torch.cat([found[0].flatten(1), *found[1:]], dim=1)

    def members(self, features: Tensor) -> Tensor:
        """The raw scores that came with the features, (N, M, K)."""
        count, classes = len(self.networks), int(self.arguments["classes"])
        return features[:, -count * classes :].reshape(-1, count, classes)


def _require_fitting(number: int, model: Model, classes: int, channels: int) -> None:
    own = (model.arguments.get("classes", classes), model.channels)
    if own != (classes, channels):
        raise UsageError(
            f"member {number + 1} is for {own[0]} classes and images of {own[1]} channels; expected {classes} and "
            f"{channels}."
        )
