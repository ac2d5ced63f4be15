"""The contract of a model."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from linnaea.models.part import Part
from linnaea.registry import Registry
from linnaea.runtime.arguments import COLOUR


class Apart(NamedTuple):
    """The features (N, D) of images, and what each head of a network says of them: logits (N, K) each."""

    features: Tensor
    heads: tuple[Tensor, ...]


class Model(Part, ABC):
    """Pixels (N, C, H, W) in [0, 1] to logits (N, K), by way of features (N, D); C is 3 unless it says `channels`.

    `head` must be linear in the features or constant, or the model says that it is not `linear`. `scorer` is the kind
    of scorer that a classifier makes of it.
    """

    scorer: str = "torch"

    pixels_per_batch = 16 * 224 * 224  # of images that are embedded at once on a CPU
    tiny = False  # whether its operations are so small that threads had better work on batches of their own
    logit_scale = 1.0  # times what the linear layer `classifier` gives

    @abstractmethod
    def features(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, H, W) to features (N, D): what a frozen head, a familiarity score or a search reads."""

    @abstractmethod
    def head(self, features: Tensor) -> Tensor:
        """Features (N, D) to logits (N, K)."""

    def uncertainty(self, features: Tensor) -> Tensor | None:
        """Total, aleatoric and epistemic uncertainty of features (N, D) in nats (N, 3); None without members."""
        return None

    @property
    def unexportable(self) -> str:
        """Why it cannot become a file of another runtime, with the operator and what can; empty where it can."""
        return ""

    def plain(self) -> "Model":
        """Itself, or what answers the same by operations that torch traces; only where it is not `unexportable`."""
        return self

    @property
    def several_heads(self) -> bool:
        """Whether its answer is the mean of several heads."""
        return False

    def heads(self, features: Tensor) -> tuple[Tensor, ...]:
        """What each of its heads says of features (N, D): logits (N, K), whose mean is the answer. Most have one."""
        return (self.head(features),)

    def forward(self, pixels: Tensor, *, apart: bool = False, detached: bool = False) -> Tensor | Apart:
        """Pixels (N, 3, H, W) to logits (N, K).

        In training also to features and heads `apart`; of heads that are `detached` no gradient reaches the features.
        """
        features = self.features(pixels)
        if not apart:
            return self.head(features)
        return Apart(features, self.heads(features.detach() if detached else features))

    def arguments_for(self, classes: int) -> dict[str, Any]:
        """The arguments of a model like this one whose head is any linear map to this many classes."""
        return {**self.arguments, "classes": classes}

    @property
    def channels(self) -> int:
        """Of the images that it takes."""
        return int(self.arguments.get("channels", COLOUR))

    @property
    def linear(self) -> bool:
        """Whether the logits are linear in the features."""
        return True

    @property
    def has_linear_head(self) -> bool:
        """Whether the head can be any linear map of the features, and lies in the layer `classifier`."""
        return hasattr(self, "classifier")

    def body_weights(self) -> dict[str, Tensor]:
        """All weights and buffers but those of the linear layer `classifier`."""
        state: dict[str, Tensor] = self.state_dict()
        return {name: value for name, value in state.items() if not name.startswith("classifier.")}

    @torch.no_grad()
    def with_head(self, weight: Tensor, bias: Tensor) -> "Model":
        """A copy that maps the same features to logits by `weight` (K, D) and `bias` (K,), if the head can be any."""
        copy = type(self)(**self.arguments_for(len(weight)))
        head = {"classifier.weight": weight / self.logit_scale, "classifier.bias": bias / self.logit_scale}
        copy.load_state_dict({**self.body_weights(), **head})
        return copy.eval()

    @property
    def device(self) -> torch.device:
        """Where the weights and buffers lie."""
        tensors: dict[str, Tensor] = self.state_dict()
        return next(iter(tensors.values())).device

    @property
    def megabytes(self) -> float:
        """Size of the weights and buffers in 10^6 bytes."""
        tensors: dict[str, Tensor] = self.state_dict()
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) / 1e6


def said(channels: int) -> dict[str, int]:
    """The number of channels as an argument of a model, where it is not that of colours."""
    return {} if channels == COLOUR else {"channels": channels}


MODELS: Registry[type[Model]] = Registry(
    "model", "linnaea.models", title="Models", use="Built by the rungs and by `linnaea.load`."
)
CONVERTED_AT_ONCE = 8  # images


def to_pixels(images: Tensor) -> Tensor:
    """Images (N, H, W, 3) of uint8 to pixels (N, 3, H, W) in [0, 1], float32, laid out channels last."""
    return images.permute(0, 3, 1, 2).to(torch.float32) / 255.0


def as_pixels(images: Tensor, layout: torch.memory_format) -> Tensor:
    """The same, some images at a time, so that what is being converted stays in the processor's cache."""
    pixels = torch.empty(images.shape, dtype=torch.float32, device=images.device)
    for start in range(0, len(images), CONVERTED_AT_ONCE):
        part = slice(start, start + CONVERTED_AT_ONCE)
        pixels[part].copy_(images[part]).div_(255.0)
    return pixels.permute(0, 3, 1, 2).contiguous(memory_format=layout)
