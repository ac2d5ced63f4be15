"""Where in a network concepts are looked for: its activations there, and what a class's score makes of more of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float32, Float64, Images
from linnaea.errors import UsageError
from linnaea.evidence.explanation.layers import Layer, outputs_of
from linnaea.evidence.explanation.subject import Subject
from linnaea.models.familiarity.known import linear_head
from linnaea.models.feature_cache import embed_once

AT_ONCE = 16
DEPTH = 2 / 3  # of the layers, where all have maps of one size


class Place(ABC):
    """A place in a network: `name` says which."""

    name: str

    @abstractmethod
    def activations(self, images: Images) -> Float32:
        """The mean over positions (N, C) of what is there for images (N, S, S, C)."""

    @abstractmethod
    def gradients(self, images: Images, target: int) -> Float64:
        """The derivative (N, C) of each image's raw score of a class by adding a little at every position."""


@dataclass
class AtLayer(Place):
    """At a layer that has a map."""

    subject: Subject
    layer: Layer

    @property
    def name(self) -> str:  # type: ignore[override]
        """The layer's."""
        return str(self.layer)

    @torch.no_grad()
    def activations(self, images: Images) -> Float32:
        """Means of the map."""
        parts = []
        for start in range(0, len(images), AT_ONCE):
            with outputs_of(self.subject.network, {self.layer.name: self.layer}) as found:
                self.subject.network.features(self.subject.tensor(images[start : start + AT_ONCE]))
            parts.append(self._maps(found).mean(dim=(2, 3)).cpu())
        values: Float32 = torch.cat(parts).float().numpy()
        return values

    @torch.enable_grad()
    def gradients(self, images: Images, target: int) -> Float64:
        """Sums over the map."""
        parts = []
        for start in range(0, len(images), AT_ONCE):
            pixels = self.subject.tensor(images[start : start + AT_ONCE]).requires_grad_()
            with outputs_of(self.subject.network, {self.layer.name: self.layer}) as found:
                scores = self.subject.network(pixels)[:, target]
            (gradient,) = torch.autograd.grad(scores.sum(), found[self.layer.name])
            parts.append(self.layer.maps(gradient).sum(dim=(2, 3)).double().cpu())
        return np.asarray(torch.cat(parts).numpy())

    def _maps(self, found: dict[str, Tensor]) -> Tensor:
        return self.layer.maps(found[self.layer.name])


@dataclass
class AtFeatures(Place):
    """At the features, of a head that is linear in them: the derivative is the same for every image."""

    subject: Subject
    name = "features"

    def activations(self, images: Images) -> Float32:
        """The features."""
        return embed_once(self.subject.classifier.model, images)

    def gradients(self, images: Images, target: int) -> Float64:
        """The weights of the class."""
        model = self.subject.classifier.model
        weight, _ = linear_head(model, self.activations(images[:1]).shape[1])
        return np.repeat(np.asarray(weight[target], dtype=np.float64)[None], len(images), axis=0)


def place_for(subject: Subject, layer: str | None) -> Place:
    """The layer of this name; else one before the last change of resolution, or the features where there are no maps.

    Behind the last map most networks are linear, and more of a concept does the same to every image. Raises UsageError
    where there is neither a map nor a linear head.
    """
    if "layer" in subject.can:
        return AtLayer(subject, subject.layer(layer) if layer is not None else _earlier(subject))
    if subject.classifier.model.linear:
        return AtFeatures(subject)
    raise UsageError(
        f"a classifier of the kind {subject.kind} has neither a layer with a map nor a head that is linear in its "
        "features: concepts can be sought in networks, and in classical features with a linear head."
    )


def _earlier(subject: Subject) -> Layer:
    last = subject.layer()
    layers = list(subject.layers.by_name.values())
    before = layers[: layers.index(last) + 1] if last in layers else layers
    larger = [layer for layer in before if layer.grid > last.grid]
    return larger[-1] if larger else before[int(DEPTH * (len(before) - 1))]
