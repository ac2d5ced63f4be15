"""What is explained: a classifier as explainers see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from linnaea.arrays import Array, Float32, Float64, Images, Integers
from linnaea.classifier import Classifier
from linnaea.dataset import Dataset
from linnaea.errors import UsageError, suggest
from linnaea.run import Run

if TYPE_CHECKING:  # torch, which a classifier in an exported file does without
    from torch import Tensor

    from linnaea.classifier.graph import Answering
    from linnaea.evidence.explanation.layers import Layer, Layers
    from linnaea.models import Model


@dataclass(frozen=True, eq=False)
class Subject:
    """A classifier, and the run it came from where that is known.

    Pixels are (N, S, S, C): images of uint8, or numbers from 0 to 1. What is asked of it never changes it.
    """

    classifier: Classifier
    run: Run | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K classes."""
        return self.classifier.classes

    @property
    def size(self) -> int:
        """The side S of the images that it sees."""
        return self.classifier.recipe.size

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the pixels of an image: (S, S, C)."""
        return self.classifier.recipe.shape

    @cached_property
    def can(self) -> frozenset[str]:
        """Which needs of explainers it meets, of `NEEDS`."""
        met, model = {"answers"}, getattr(self.classifier.scorer, "model", None)
        if model is None:
            return frozenset(met)
        met.add("features")
        if not self.classifier.scorer.gradients or not any(True for _ in model.parameters()):
            return frozenset(met)
        met.add("gradients")
        if self.layers.last is not None:
            met.add("layer")
        if self.layers.attention is not None:
            met.add("attention")
        return frozenset(met)

    @cached_property
    def layers(self) -> "Layers":
        """The layers of its model that have maps; one run on noise finds them."""
        from linnaea.evidence.explanation.layers import layers_of

        return layers_of(self.classifier.model, self.shape)

    @property
    def network(self) -> "Model":
        """The torch model, in evaluation mode, to be differentiated; raises UsageError where there is none."""
        if "gradients" not in self.can:
            raise UsageError(
                f"a classifier of the kind {self.kind} has no gradients: use a method that needs answers alone."
            )
        return self.classifier.model.eval()

    @property
    def kind(self) -> str:
        """What it is called: the kind of its model where it has one, else that of its scorer."""
        model = getattr(self.classifier.scorer, "model", None)
        return str(self.classifier.scorer.kind if model is None else model.kind)

    def answer(self, pixels: Array) -> Float64:
        """Calibrated probabilities (N, K) of pixels.

        Numbers from 0 to 1 are rounded to the 256 values of an image only where no torch model takes them as they are.
        """
        if pixels.dtype == np.uint8:
            return self.classifier.score(pixels).probabilities.astype(np.float64)
        if self.classifier.scorer.gradients and not self.classifier.scorer.whole:
            return self._of_numbers(pixels)
        rounded: Images = np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
        return self.classifier.score(rounded).probabilities.astype(np.float64)

    def _of_numbers(self, pixels: Array) -> Float64:
        import torch

        graph, parts = self._graph, []
        with torch.inference_mode():
            for part in np.array_split(pixels.astype(np.float32), max(1, -(-len(pixels) // self.at_once()))):
                images = torch.from_numpy(part * 255.0).to(self.classifier.model.device)
                parts.append(graph(images)[2].double().cpu().numpy())
        return np.concatenate(parts)

    @cached_property
    def _graph(self) -> "Answering":
        return self.classifier.graph()

    def at_once(self, most: int = 256) -> int:
        """How many images, of so many at most, are given to the model together, so that they fit memory."""
        if "features" not in self.can:
            return most
        return min(most, max(1, self.classifier.model.pixels_per_batch // self.size**2))

    def features(self, images: Images) -> Float32:
        """Features (N, D) of images of uint8; raises UsageError where it has none."""
        if "features" not in self.can:
            raise UsageError(f"a classifier of the kind {self.kind} has no features that could be taken out.")
        found = [features for features, _ in self.classifier.scorer.batches(images) if features is not None]
        return np.concatenate([features.float().cpu().numpy() for features in found])

    def tensor(self, pixels: Array) -> "Tensor":
        """Pixels (N, S, S, C) as the network takes them: numbers from 0 to 1 (N, C, S, S), where it computes."""
        import torch

        scale = 255.0 if pixels.dtype == np.uint8 else 1.0
        values = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32) / scale)
        return values.to(self.network.device)

    def layer(self, name: str | None = None) -> "Layer":
        """The layer of this name, or the last with a map that matters; raises UsageError where it has no map."""
        return self.layers.find(self.network, name)

    def class_number(self, name: str) -> int:
        """The place of a class; raises UsageError with a suggestion where there is none of this name."""
        if name not in self.classes:
            known = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
            raise UsageError(f"target is {name!r}, which is no class: one of {known}.{suggest(name, self.classes)}")
        return self.classes.index(name)

    def answered(self, probabilities: Float64, labels: Sequence[object] = ()) -> Integers:
        """The class (N,) that each answer speaks for: the one that was answered, else the most probable."""
        best: Integers = probabilities.argmax(axis=1).astype(np.int64)
        for row, label in enumerate(labels):
            if isinstance(label, str) and label in self.classes:
                best[row] = self.classes.index(label)
        return best

    @cached_property
    def training(self) -> Dataset | None:
        """The images that it was trained on, with their labels; None where that is not known."""
        if self.run is None:
            return None
        dataset = self.run.dataset()
        return dataset.split("train") if dataset.has("split") else dataset


@dataclass(frozen=True, eq=False)
class SharedSubject(Subject):
    """A classifier that others use too: nothing is asked of it but answers, each time by `between`.

    `between(work)` gives what comes of `work()` once the classifier is free.
    """

    between: Callable[[Callable[[], Float64]], Float64] = lambda work: work()

    @property
    def can(self) -> frozenset[str]:
        """Answers alone."""
        return frozenset({"answers"})

    def answer(self, pixels: Array) -> Float64:
        """Calibrated probabilities (N, K) of pixels."""
        return self.between(partial(super().answer, pixels))
