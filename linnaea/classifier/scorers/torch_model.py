"""A torch model as a scorer."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from linnaea.arrays import Images
from linnaea.classifier.scorers.contract import SCORERS, Scorer
from linnaea.errors import BundleError
from linnaea.models import MODELS, Model
from linnaea.models.embedding import features_of
from linnaea.models.folding import fold
from linnaea.models.part import build_part, fill
from linnaea.runtime.plan import Plan


@SCORERS.register("torch", title="Torch model", meaning="A model of this library, with its weights as safetensors.")
class TorchScorer(Scorer):
    """A model in evaluation mode; the graph that answers is prepared once for each layout and never changed."""

    kind = "torch"
    features = linear_head = gradients = True

    def __init__(self, model: Model) -> None:
        self.model = model.eval()
        self._prepared: dict[torch.memory_format, Model] = {}
        self._preparing = Lock()

    def __reduce__(self) -> tuple[type["TorchScorer"], tuple[Model]]:  # a copy prepares its own graphs
        return type(self), (self.model,)

    @property
    def arguments(self) -> dict[str, Any]:
        """The description of the model."""
        return {"model": self.model.describe()}

    @property
    def unexportable(self) -> str:
        """What its model says."""
        return self.model.unexportable

    @property
    def device(self) -> str:
        """Where the weights lie."""
        return str(self.model.device)

    def to(self, device: str) -> "TorchScorer":
        """The same on another device; a copy, so that whoever holds this one keeps it."""
        return self if device == self.device else type(self)(copy.deepcopy(self.model).to(device))

    def tensors(self) -> dict[str, Tensor]:
        """All weights and buffers of the model."""
        state: dict[str, Tensor] = self.model.state_dict()
        return state

    @torch.no_grad()
    def batches(self, images: Images, plan: Plan | None = None) -> Iterator[tuple[Tensor | None, Tensor]]:
        """Features (B, D) and raw scores (B, K) of some images after the other, on the model's device."""
        plan = plan or Plan(self.device)
        model = self._graph(images.shape[1], plan.layout)
        for features in features_of(model, images, plan):
            yield features, model.head(features)

    def _graph(self, side: int, layout: torch.memory_format) -> Model:
        with self._preparing:
            if layout not in self._prepared:
                self._prepared[layout] = fold(self.model, side).to(memory_format=layout).eval()
            return self._prepared[layout]

    @classmethod
    def build(cls, arguments: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path) -> "TorchScorer":
        """The model that is described, filled with the tensors."""
        if set(arguments) != {"model"}:
            raise BundleError(f"the arguments of the scorer are {', '.join(arguments)}; expected model.")
        model = build_part(MODELS, arguments["model"])
        if model.scorer != cls.kind:
            raise BundleError(f"the scorer is of the kind {cls.kind}, and its model belongs in one of {model.scorer}.")
        fill(model, "scorer", tensors)
        return cls(model)


def scorer_of(model: Model) -> TorchScorer:
    """The scorer of the kind that a model belongs in."""
    make: Any = SCORERS[model.scorer]
    scorer: TorchScorer = make(model)
    return scorer
