"""Networks made for images of three channels, for images of another number."""

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError
from linnaea.runtime.arguments import COLOUR


def first_convolution(body: nn.Module) -> str | None:
    """The name of the layer that reads colours; None where there is no such convolution."""
    convolutions = ((name, part) for name, part in body.named_modules() if isinstance(part, nn.Conv2d))
    return next((name for name, part in convolutions if part.in_channels == COLOUR and part.groups == 1), None)


@torch.no_grad()
def widen(body: nn.Module, channels: int, name: str, side: int) -> nn.Module:
    """The body of the network `name`, its first convolution reading so many channels in place of three, in place.

    Its filters are those for colours in turn, scaled so that answers keep their size, as in timm. Raises UsageError
    for a network that has no such layer, or reads colours elsewhere as well: it is tried on an image of this side.
    """
    refused = UsageError(f"{name} takes images of three channels alone, and these have {channels}: name another.")
    place, training = first_convolution(body), body.training
    if place is None:
        raise refused
    narrow = body.get_submodule(place)
    assert isinstance(narrow, nn.Conv2d), "that is what was looked for"
    narrow.weight = nn.Parameter(spread(narrow.weight.detach(), channels))
    narrow.in_channels = channels
    try:
        body.eval()(torch.zeros(1, channels, side, side))
    except RuntimeError:
        raise refused from None
    return body.train(training)


def remarks_on(channels: int) -> list[str]:
    """What should be known of pretrained weights that see images of so many channels."""
    if channels in (1, COLOUR):
        return []
    return [
        f"The weights are for three colours and the images have {channels} channels: these are read in turn by the "
        "filters for red, green and blue."
    ]


def spread(filters: Tensor, channels: int) -> Tensor:
    """Filters (M, 3, H, W) for colours as filters (M, channels, H, W)."""
    return filters[:, torch.arange(channels) % COLOUR] * (COLOUR / channels)
