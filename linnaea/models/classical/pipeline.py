"""A classical pipeline as a model: a feature, maybe an encoding, and a head, each of its registry."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float32, Images, in_colours
from linnaea.errors import UsageError
from linnaea.models.classical.encodings import ENCODINGS, Encoding
from linnaea.models.classical.features import FEATURES, Feature
from linnaea.models.classical.heads import HEADS, Head
from linnaea.models.classical.libraries import one_thread_of_opencv
from linnaea.models.classical.plain.pipeline import PlainPipeline
from linnaea.models.model import MODELS, Model, said
from linnaea.models.part import build_part
from linnaea.runtime.arguments import COLOUR


@MODELS.register("classical", title="Classical pipeline", meaning="A feature and a head of their registries: hog+svm.")
class Classical(Model):
    """Pixels to descriptors of places, put side by side or encoded, to what the head makes of them.

    `feature` is a name in `FEATURES`; `encoding` and `head` are descriptions of parts (None: none; not fitted yet). It
    computes on the processor, by libraries that torch knows nothing of: there are no gradients.
    """

    kind = "classical"
    scorer = "classical"
    pixels_per_batch = 16 * 32 * 32
    tiny = True

    def __init__(
        self,
        classes: int,
        size: int,
        feature: str,
        encoding: Mapping[str, Any] | None = None,
        head: Mapping[str, Any] | None = None,
        channels: int = COLOUR,
    ) -> None:
        super().__init__(classes=classes, size=size, feature=feature, encoding=encoding, head=head, **said(channels))
        self.feature = FEATURES[feature](size, dense=encoding is not None)
        self.encoding: Encoding | None = None if encoding is None else build_part(ENCODINGS, encoding)
        self.answering: Head | None = None if head is None else build_part(HEADS, head)

    def features(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, S, S) to features (N, D); raises UsageError where a gradient is asked for."""
        if pixels.requires_grad:
            raise UsageError(f"{self.arguments['feature']} is computed by a library of images: it has no gradients.")
        images = pixels.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        descriptors = torch.from_numpy(described(self.feature, in_colours(images)))
        return descriptors.flatten(1) if self.encoding is None else self.encoding(descriptors)

    @torch.no_grad()
    def head(self, features: Tensor) -> Tensor:
        """Features (N, D) to raw scores (N, K)."""
        assert self.answering is not None, "its rung has fitted it"
        scores: Tensor = self.answering(features)
        return scores

    @property
    def linear(self) -> bool:
        """Whether the scores are linear in the features."""
        return self.answering is not None and self.answering.linear

    @property
    def unexportable(self) -> str:
        """Names the operator of a feature that no other runtime has."""
        if self.feature.plain() is not None:
            return ""
        able = [name for name in FEATURES if FEATURES.about(name).capabilities.get("plain")]
        return (
            f"the feature {self.arguments['feature']} is the operator {self.feature.operator}, which no format has: "
            f"train a pipeline of {', '.join(able[:-1])} or {able[-1]} to export one; the run itself predicts and "
            "serves as it is."
        )

    def plain(self) -> Model:
        """The pipeline in operations that torch traces."""
        describing = self.feature.plain()
        assert describing is not None, "it is not unexportable"
        assert self.answering is not None, "its rung has fitted it"
        size = int(self.arguments["size"])
        return PlainPipeline(size, self.feature.side, describing, self.encoding, self.answering)

    def encoded_by(self, encoding: Encoding) -> "Classical":
        """The same with an encoding of the feature."""
        made = Classical(**{**self.arguments, "encoding": encoding.describe()})
        made.encoding = encoding
        return made

    def answering_by(self, head: Head) -> "Classical":
        """The same with another head."""
        made = Classical(**{**self.arguments, "head": head.describe()})
        made.encoding, made.answering = self.encoding, head
        return made

    def body_weights(self) -> dict[str, Tensor]:
        """What was learnt of the encoding."""
        return {name: value for name, value in super().body_weights().items() if not name.startswith("answering.")}

    @property
    def device(self) -> torch.device:
        """The processor, whatever else there is."""
        return torch.device("cpu")


def described(feature: Feature, images: Images) -> Float32:
    """The descriptors (N, P, D) of images (N, S, S, 3), one after the other."""
    with one_thread_of_opencv():
        return np.stack([feature.describe(image) for image in images])
