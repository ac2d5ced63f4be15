"""Which layer to look at, and how its output is laid out: found by a trial run, not by a list of names.

A layer has a map where its output for a square image has a square of more than one position: (N, C, H, H),
(N, H, H, C), or tokens (N, L, C), of which the first few may stand for no place: class, distillation and register
tokens. The one to look at is the last whose map reaches the features: in a transformer that reads its class token, what
follows the last attention does not. Where a network attends within smaller and smaller maps, and at the smallest
between all of its places, as Swin does, it is the last before that attention: what was found in one place is known in
all of them afterwards.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError, suggest
from linnaea.evidence.explanation.attention import Attending, Recording, attending
from linnaea.evidence.explanation.tokens import places_in
from linnaea.models import Model

FIRST, LAST, TOKENS = "channels first", "channels last", "tokens"
TRIED_AT_ONCE = 8  # layers
IMAGES = 2  # of a trial
NAMED = 6
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Layer:
    """A layer of a network with a map of `grid` x `grid` positions; `prefix` tokens come before those of places."""

    name: str
    layout: str
    grid: int
    channels: int
    prefix: int = 0

    def __str__(self) -> str:
        return f"layer {self.name}, {self.grid} x {self.grid} positions"

    def maps(self, output: Tensor) -> Tensor:
        """The output of the layer, or a gradient of its shape, as maps (N, C, H, H)."""
        if self.layout == FIRST:
            return output
        if self.layout == LAST:
            return output.permute(0, 3, 1, 2)
        places = output[:, self.prefix :].reshape(len(output), self.grid, self.grid, -1)
        return places.permute(0, 3, 1, 2)


@contextmanager
def outputs_of(
    network: nn.Module, names: Mapping[str, object], told: Callable[[str], object] = lambda name: None
) -> Iterator[dict[str, Tensor]]:
    """What layers of these names give when the network is called within, in the order in which they are done.

    Of a layer that is used several times, as by networks that look at the mirror image too, it is the first; `told` is
    called with its name as it is done.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str, output: object) -> None:
        if isinstance(output, Tensor) and name not in found:
            found[name] = output
            told(name)

    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
        for name, module in network.named_modules()
        if name in names
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class Layers:
    """The layers with maps by name, in the order in which they are done, and the `last` that reaches the features.

    It is None where there is none. `attention` is how attention is followed, None where there is none between tokens.
    """

    by_name: Mapping[str, Layer]
    last: Layer | None
    attention: Attending | None = None

    def find(self, network: Model, name: str | None) -> Layer:
        """The layer of this name (None: the last); raises UsageError where there is no such layer, or it has no map."""
        if name is None:
            if self.last is None:
                raise UsageError(
                    f"a network of the kind {network.kind} has no layer with a map: use a method that needs none, such "
                    "as saliency or occlusion."
                )
            return self.last
        if name in self.by_name:
            return self.by_name[name]
        shown = ", ".join(list(self.by_name)[-NAMED:])
        if any(name == place for place, _ in network.named_modules() if place):
            raise UsageError(
                f"layer is {name!r}, whose output has no map: expected one of {len(self.by_name)}, such as {shown}."
            )
        raise UsageError(
            f"layer is {name!r}, which the network has not: expected one of {len(self.by_name)}, such as {shown}."
            f"{suggest(name, self.by_name)}"
        )


@torch.inference_mode(mode=False)  # also where somebody asks in the midst of an answer
@torch.enable_grad()
def layers_of(network: Model, shape: Shape) -> Layers:
    """The layers with maps for images of this shape (S, S, C), by one run on noise."""
    side, _, channels = shape
    random = torch.Generator().manual_seed(0)
    noise = torch.rand((IMAGES, channels, side, side), generator=random).to(network.device).requires_grad_()
    kinds = {name: module for name, module in network.named_modules() if name and _learns(module)}
    attended: dict[str, int] = {}  # how often there was attention before a layer was done
    recording = Recording()
    with outputs_of(network, kinds, lambda name: attended.update({name: len(recording.found)})) as found, recording:
        features = network.eval().features(noise)
    outputs = {name: output for name, output in found.items() if len(output) == IMAGES}
    prefix = _told_prefix(network)
    layers = _with_maps(kinds, {name: tuple(output.shape[1:]) for name, output in outputs.items()}, prefix)
    if not features.requires_grad:
        return Layers(layers, None)
    weights = torch.randn(features.shape, generator=random).to(features)
    number = (features * weights).sum()
    attention = attending(recording.found, IMAGES, number, outputs, prefix)
    last = _last_reaching(number, outputs, layers)
    mixed = None if last is None else _mixed_at(recording.found, last, layers)
    if last is not None and mixed is not None:
        alike = (last.layout, last.channels)  # not queries, keys and values
        before = {n: one for n, one in layers.items() if attended[n] <= mixed and (one.layout, one.channels) == alike}
        last = _last_reaching(number, outputs, before) or last
    return Layers(layers, last, attention)


def _mixed_at(attention: Sequence[Tensor], last: Layer, layers: Mapping[str, Layer]) -> int | None:
    """Which attention is the first between all places of the last map, where attention within larger maps came before.

    None where there is none, and where convolutions, which are done channels first, come between or before.
    """
    if last.layout != LAST or all(layer.grid <= last.grid for layer in layers.values()):
        return None
    places = last.grid**2 + last.prefix
    found = (k for k, one in enumerate(attention) if len(one) == IMAGES and one.shape[-2:] == (places, places))
    return next(found, 0) or None


def _told_prefix(network: nn.Module) -> int:
    """How many tokens stand for no place, where the network says it; else 0."""
    told = (getattr(module, "num_prefix_tokens", 0) for module in network.modules())
    return next((count for count in told if isinstance(count, int) and count), 0)


def _with_maps(kinds: Mapping[str, nn.Module], sizes: Mapping[str, tuple[int, ...]], prefix: int) -> dict[str, Layer]:
    convolved = {size[1] for name, size in sizes.items() if len(size) == 3 and isinstance(kinds[name], nn.Conv2d)}
    layers = {name: _layer(name, size, prefix, convolved) for name, size in sizes.items()}
    return _of_usual_width({name: layer for name, layer in layers.items() if layer is not None})


def _last_reaching(number: Tensor, outputs: Mapping[str, Tensor], layers: Mapping[str, Layer]) -> Layer | None:
    """The last layer of which several positions of the map change the number."""
    backwards = [name for name in reversed(list(layers)) if outputs[name].requires_grad]
    for start in range(0, len(backwards), TRIED_AT_ONCE):
        tried = backwards[start : start + TRIED_AT_ONCE]
        given = [outputs[name] for name in tried]
        gradients = torch.autograd.grad(number, given, retain_graph=True, allow_unused=True)
        for name, gradient in zip(tried, gradients, strict=True):
            if gradient is not None and int((layers[name].maps(gradient)[0].abs().sum(dim=0) > 0).sum()) > 1:
                return layers[name]
    return None


def _learns(module: nn.Module) -> bool:
    """Whether it has weights: what has none, such as pooling to a fixed size, may show places where there are none."""
    return any(True for _ in module.parameters())


def _layer(name: str, size: tuple[int, ...], prefix: int, convolved: set[int]) -> Layer | None:
    """How an output of this size, without the number of images, is laid out; None where it has no map."""
    if len(size) == 3:
        first, second, third = size
        if second == third > 1 and second in convolved:  # attention of tokens to tokens is square as well
            return Layer(name, FIRST, second, first)
        return Layer(name, LAST, first, third) if first == second > 1 and first != third else None
    if len(size) != 2:
        return None
    places = places_in(size[0], prefix)
    return None if places is None else Layer(name, TOKENS, places[1], size[1], places[0])


def _of_usual_width(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """Without tokens of another width than most of as many: queries, keys and values side by side, and the like."""
    widths = Counter((layer.grid, layer.channels) for layer in layers.values() if layer.layout == TOKENS)
    usual = {grid: max((n, width) for (of, width), n in widths.items() if of == grid)[1] for grid, _ in widths}
    return {
        name: layer for name, layer in layers.items() if layer.layout != TOKENS or layer.channels == usual[layer.grid]
    }
