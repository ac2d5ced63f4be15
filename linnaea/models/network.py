"""Any network of timm or torchvision as a body with a linear head."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from linnaea.errors import UsageError
from linnaea.models.bodies import both_tokens, create_body, distilled, require_network, standard
from linnaea.models.channels import first_convolution, spread, widen
from linnaea.models.model import MODELS, Model, said
from linnaea.models.surgery import Operation, operate
from linnaea.runtime.arguments import COLOUR

LARGEST_SPREAD = 255.0
IDENTITY = 1e-3  # statistics this near to 0 and 1 are those of a layer that was folded away
GREY = 1
CELLS = 2  # of the last map, along a side, at the least: of a single one, only what repeats everywhere can be seen
MORE_CELLS = 2  # that are tried where a network does not work with these
ON_ODD_SIZES = (RuntimeError, AssertionError, TypeError, ValueError, IndexError, ZeroDivisionError)


@MODELS.register(
    "network", title="Network of timm or torchvision", meaning="Any body that they know, with a linear head."
)
class Network(Model):
    """A body, pooled to features, and a linear classifier; `mean` and `std` normalise per channel.

    `arguments_of_body` goes to the library that makes it (`{"pad_type": "same"}`), and `operations` are what was done
    to it afterwards, as `linnaea.models.surgery` has it; `size` is the side of the images,
    `seen` that to which they are enlarged within the network (None: they are not). Where `tokens` is 2, a distillation
    token is read beside the class token: features are those of both, one head learns from each, and the answer is their
    mean (Touvron et al. 2021). The heads share their bias, of which the answer knows the mean alone. Images of one of
    `channels` are shown three times; of another number than 3, the first convolution has more filters.
    """

    kind = "network"
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        classes: int,
        size: int,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        arguments_of_body: Mapping[str, Any] | None = None,
        seen: int | None = None,
        tokens: int = 1,
        channels: int = COLOUR,
        operations: Sequence[Operation] = (),
    ) -> None:
        if not all(0 < value <= LARGEST_SPREAD for value in std):
            raise UsageError(f"std is {list(std)}; expected numbers above 0, in terms of pixels from 0 to 1.")
        if tokens not in (1, 2) or (tokens == 2 and not distilled(name)):
            raise UsageError(f"tokens is {tokens}, and {name} is no distilled transformer of two: expected 1.")
        extra = dict(arguments_of_body or {})
        unusual: dict[str, Any] = said(channels) | ({} if seen is None else {"seen": seen})
        unusual |= {} if tokens == 1 else {"tokens": tokens}
        unusual |= {"operations": [dict(one) for one in operations]} if operations else {}
        super().__init__(
            name=name, classes=classes, size=size, mean=list(mean), std=list(std), arguments_of_body=extra, **unusual
        )
        self.side, self.tokens = seen or size, tokens
        self.pixels_per_batch = max(1, Model.pixels_per_batch * size**2 // self.side**2)
        self.body = create_body(name, self.side, extra)
        operate(self.body, operations)
        length = _feature_length(self.body, self.side)
        if channels not in (GREY, COLOUR):
            self.body = widen(self.body, channels, name, self.side)
        self.register_buffer("mean", _of_channels(mean, channels), persistent=False)
        self.register_buffer("std", _of_channels(std, channels), persistent=False)
        self.classifier = nn.Linear(tokens * length, classes)
        self._kept: list[nn.Module] = []

    @classmethod
    def fitting(cls, name: str, classes: int, size: int, *, trained_on: int | None = None, **more: Any) -> "Network":
        """One that sees something in images of this size: they are enlarged within it where its stride is too large.

        `trained_on` is the side of the images that weights were made with, which is never too small; `more` are
        arguments of the network. Raises UsageError where it does not work with these images at all.
        """
        require_network(name)
        told, tokens = "", 2 if distilled(name) else 1
        for side in _sides(name, size, trained_on or standard(name).size):
            try:
                seen = None if side == size else side
                return cls(name, classes, size, seen=seen, tokens=tokens, **more)
            except UsageError:
                raise
            except ON_ODD_SIZES as error:
                told = told or str(error)
        raise UsageError(
            f"{name} does not accept images of {size} pixels, nor enlarged ones ({told}): choose another --img-size, "
            f"such as {standard(name).size}."
        )

    def seeing(self, channels: int) -> "Network":
        """The same with the weights of its body for images of so many channels, and a fresh head."""
        if channels == self.channels:
            return self
        own, state = type(self)(**{**self.arguments, "channels": channels}), self.body.state_dict()
        place = first_convolution(self.body)
        if channels != GREY:
            state[f"{place}.weight"] = spread(state[f"{place}.weight"], channels)
        own.body.load_state_dict(state)
        return own

    def remarks(self) -> list[str]:
        """What should be known of how it sees images of this size."""
        size = self.arguments["size"]
        if self.side == size:
            return []
        return [
            f"Images of {size} pixels are enlarged to {self.side} within the network: {self.arguments['name']} makes "
            f"one cell of {standard(self.arguments['name']).stride} pixels, which leaves too little of smaller images."
        ]

    @property
    def has_statistics(self) -> bool:
        """Whether batch normalisation normalises: there is some in the body, and it was not folded away."""
        norms = [part for part in self.body.modules() if isinstance(part, _BatchNorm)]
        return bool(norms) and not all(_is_identity(part) for part in norms)

    def keep_statistics(self) -> str:
        """Let batch normalisation in the body answer in training as it does now; says so, or "" where there is none.

        Means and variances of a small batch are noise beside those of pretraining, and where normalisation was folded
        into the convolutions they change what the network computes altogether.
        """
        self._kept = [part for part in self.body.modules() if isinstance(part, _BatchNorm)]
        if not self._kept:
            return ""
        if all(_is_identity(part) for part in self._kept):
            return (
                "Batch normalisation is folded into the convolutions of these weights (its means are 0, its variances "
                "1): it was left as it is."
            )
        return "Batch normalisation kept the statistics of pretraining."

    def train(self, mode: bool = True) -> "Network":
        """Training mode, but for normalisation whose statistics are kept."""
        super().train(mode)
        for part in self._kept if mode else ():
            part.eval()
        return self

    def features(self, pixels: Tensor) -> Tensor:
        """Pooled features of the body, shape (N, D)."""
        if self.side != self.arguments["size"]:
            pixels = functional.interpolate(pixels, size=(self.side, self.side), mode="bilinear", align_corners=False)
        normalised = (pixels - self.mean) / self.std  # of grey, three of them
        pooled: Tensor = self.body(normalised) if self.tokens == 1 else both_tokens(self.body, normalised)
        return pooled

    def head(self, features: Tensor) -> Tensor:
        """Features (N, D) to logits (N, K)."""
        logits: Tensor = self.classifier(features)
        return logits

    @property
    def several_heads(self) -> bool:
        """Where a distillation token has one of its own."""
        return self.tokens > 1

    def heads(self, features: Tensor) -> tuple[Tensor, ...]:
        """What the class head and the distillation head say; of a network of one token the one head."""
        if self.tokens == 1:
            return super().heads(features)
        weight, bias = self.classifier.weight, self.classifier.bias
        parts = zip(features.chunk(2, dim=1), weight.chunk(2, dim=1), strict=True)
        return tuple(functional.linear(own, 2 * half, bias) for own, half in parts)


def _sides(name: str, size: int, usual: int) -> Iterator[int]:
    """Sides to show the network images of this size at, the best first: their own, unless that is too small for it."""
    stride = standard(name).stride
    first = max(size, min(CELLS * stride, usual))
    yield first
    yield from ((first // stride + more) * stride for more in range(1, MORE_CELLS + 1))
    if usual > first:
        yield usual


def _of_channels(values: Sequence[float], channels: int) -> Tensor:
    """Means or deviations of colours for images of so many channels (1, C, 1, 1); grey is shown as three."""
    count = COLOUR if channels == GREY else channels
    return torch.tensor([values[channel % COLOUR] for channel in range(count)], dtype=torch.float32).view(1, -1, 1, 1)


def _is_identity(norm: nn.Module) -> bool:
    """Whether the statistics of a normalisation say that nothing is left to normalise."""
    mean, variance = (norm.get_buffer(name) for name in ("running_mean", "running_var"))
    return bool((mean.abs() < IDENTITY).all() and ((variance - 1).abs() < IDENTITY).all())


def _feature_length(body: nn.Module, side: int) -> int:
    training = body.training
    with torch.no_grad():
        length = int(body.eval()(torch.zeros(1, 3, side, side)).shape[-1])
    body.train(training)
    return length
