"""A network whose weights are kept as few bits: integers with their scales, or numbers of half precision."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError
from linnaea.models.model import MODELS, Model, said
from linnaea.models.part import build_part
from linnaea.runtime.arguments import COLOUR

HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}
INTEGERS = {"int8": 127, "int4": 7}  # the largest of each
FORMATS = (*INTEGERS, *HALF)
GROUP = 32  # weights that share a scale, of four bits


@MODELS.register(
    "rounded", title="Rounded weights", meaning="Any network, its weights kept as integers and scales.", quantised=True
)
class Rounded(Model):
    """The model that `of` describes, whose matrices and filters are kept in a format of few bits.

    `int8` has a scale for each output channel, `int4` one for each 32 weights of a channel and two of them in a byte.
    The bundle holds these numbers alone; they are made float32 once, when it is loaded, and computed with as ever.
    """

    kind = "rounded"

    def __init__(self, classes: int, size: int, of: Mapping[str, Any], bits: str, channels: int = COLOUR) -> None:
        if bits not in FORMATS:
            raise UsageError(f"bits is {bits!r}; expected one of {', '.join(FORMATS)}.")
        super().__init__(classes=classes, size=size, of=dict(of), bits=bits, **said(channels))
        self.bits = bits
        self.inner = build_part(MODELS, of)
        self.scorer, self.tiny = self.inner.scorer, self.inner.tiny
        self.pixels_per_batch = self.inner.pixels_per_batch
        self.names = [name for name, weight in self.inner.named_parameters() if weight.dim() > 1]
        for name in self.names:
            shape = self.inner.get_parameter(name).shape
            for part, empty in _empty(shape, bits).items():
                self.register_buffer(f"{part}/{name.replace('.', '/')}", empty)
            place, _, own = name.rpartition(".")
            module = self.inner.get_submodule(place)
            delattr(module, own)
            module.register_buffer(own, torch.zeros(shape), persistent=False)
        self.register_load_state_dict_post_hook(_restore)  # type: ignore[no-untyped-call]  # torch has no type for it

    @classmethod
    def of(cls, model: Model, bits: str, rounded: Mapping[str, Mapping[str, Tensor]]) -> "Rounded":
        """A model whose weights, by name, were rounded to `values` and, where they are integers, `scales`."""
        arguments = model.arguments
        made = cls(arguments["classes"], arguments["size"], model.describe(), bits, model.channels)
        kept = {f"inner.{name}": value for name, value in model.state_dict().items() if name not in made.names}
        for name in made.names:
            kept |= {f"{part}/{name.replace('.', '/')}": value for part, value in rounded[name].items()}
        made.load_state_dict(kept)
        return made.eval()

    def features(self, pixels: Tensor) -> Tensor:
        """As the model does with the rounded weights."""
        return self.inner.features(pixels)

    def head(self, features: Tensor) -> Tensor:
        """As the model does with the rounded weights."""
        return self.inner.head(features)

    def heads(self, features: Tensor) -> tuple[Tensor, ...]:
        """As the model has them."""
        return self.inner.heads(features)

    @property
    def several_heads(self) -> bool:
        """As the model has it."""
        return self.inner.several_heads

    def uncertainty(self, features: Tensor) -> Tensor | None:
        """As the model has it."""
        return self.inner.uncertainty(features)

    @property
    def linear(self) -> bool:
        """As the model has it."""
        return self.inner.linear

    def plain(self) -> Model:
        """The model itself with the rounded weights as its parameters, such as can be trained further."""
        made = build_part(MODELS, self.arguments["of"])
        state = dict(self.inner.state_dict())
        made.load_state_dict(state | {name: self.inner.get_buffer(name) for name in self.names})
        return made.eval()

    @torch.no_grad()
    def restore(self) -> None:
        """Make float32 of what is kept."""
        for name in self.names:
            parts = {part: self.get_buffer(f"{part}/{name.replace('.', '/')}") for part in _parts(self.bits)}
            weight = self.inner.get_buffer(name)
            weight.copy_(as_numbers(parts, weight.shape, self.bits))


def _restore(model: nn.Module, _: object) -> None:
    assert isinstance(model, Rounded), "it registered this itself"
    model.restore()


def as_numbers(parts: Mapping[str, Tensor], shape: torch.Size, bits: str) -> Tensor:
    """The weights, of this shape and in float32, that rounded ones stand for."""
    values = parts["values"]
    if bits in HALF:
        return values.float()
    if bits == "int4":
        values = unpacked(values)
    grouped = values.float().reshape(*parts["scales"].shape, -1) * parts["scales"].unsqueeze(-1)
    return grouped.flatten(1)[:, : shape[1:].numel()].reshape(shape)


def packed(values: Tensor) -> Tensor:
    """Integers (N, D) from -8 to 7 as bytes (N, D / 2), the first of two in the lower half."""
    pairs = (values.to(torch.int16) & 0xF).reshape(len(values), -1, 2)
    return (pairs[..., 0] | (pairs[..., 1] << 4)).to(torch.uint8)


def unpacked(values: Tensor) -> Tensor:
    """Bytes (N, D / 2) as integers (N, D) from -8 to 7."""
    whole = values.to(torch.int16)
    pairs = torch.stack([whole & 0xF, whole >> 4], dim=-1).flatten(1)
    return torch.where(pairs > INTEGERS["int4"], pairs - 16, pairs).to(torch.int8)


def _parts(bits: str) -> Iterator[str]:
    yield "values"
    if bits in INTEGERS:
        yield "scales"


def _empty(shape: torch.Size, bits: str) -> dict[str, Tensor]:
    """What is kept of weights of a shape, before it is filled."""
    if bits in HALF:
        return {"values": torch.zeros(shape, dtype=HALF[bits])}
    first, rest = shape[0], shape[1:].numel()
    if bits == "int8":
        return {"values": torch.zeros((first, rest), dtype=torch.int8), "scales": torch.zeros(first, 1)}
    groups = -(-rest // GROUP)
    return {
        "values": torch.zeros((first, groups * GROUP // 2), dtype=torch.uint8),
        "scales": torch.zeros(first, groups),
    }
