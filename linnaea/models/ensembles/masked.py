"""One network with dropout that stays in the answers, by masks that are drawn once."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError
from linnaea.models.ensembles.dropping import Dropping, Mask, masks_for
from linnaea.models.ensembles.mixture import Mixture
from linnaea.models.model import MODELS, Model, said
from linnaea.models.part import build_part
from linnaea.runtime.arguments import COLOUR

FEWEST = 2


@MODELS.register("masked", title="Dropout masks", meaning="One network under several masks of its dropout.")
class Masked(Mixture):
    """A network whose layers `places` drop the `shares` by masks of `members`: the same ones for every image.

    With a mask for good, each member is a network of its own (Gal and Ghahramani 2016 draw one anew for each image),
    and equal images have equal answers. `body` is its description. Features are the mean over members, followed by what
    each says: raw scores of all.
    """

    kind = "masked"

    def __init__(
        self,
        classes: int,
        size: int,
        members: int,
        body: Mapping[str, Any],
        places: Sequence[str],
        shares: Sequence[float],
        several: bool = False,
        channels: int = COLOUR,
    ) -> None:
        if members < FEWEST or len(places) != len(shares) or not all(0 < share < 1 for share in shares):
            raise UsageError(f"{members} members, {len(places)} places and the shares {shares} do not fit each other.")
        super().__init__(
            classes=classes,
            size=size,
            members=members,
            body=dict(body),
            places=list(places),
            shares=list(shares),
            several=several,
            **said(channels),
        )
        self.several, self.count = several, members
        self.body: Model = build_part(MODELS, body).eval()
        self._masked(places, shares)
        self.pixels_per_batch = max(1, self.body.pixels_per_batch // members)

    @classmethod
    def of(
        cls, model: Model, dropping: Dropping, members: int, size: int, *, several: bool, generator: torch.Generator
    ) -> "Masked":
        """The model, whose weights are copied, under masks that are drawn."""
        classes = int(model.arguments["classes"])
        places, shares = list(dropping.places), list(dropping.places.values())
        made = cls(classes, size, members, model.describe(), places, shares, several, model.channels)
        state = made.body.state_dict()
        made.body.load_state_dict({**state, **model.state_dict()})
        for layer in made.modules():
            if isinstance(layer, Mask):
                layer.kept.copy_(masks_for(tuple(layer.kept.shape[1:]), layer.share, members, generator))
        return made.to(model.device).eval()

    @torch.no_grad()
    def _masked(self, places: Sequence[str], shares: Sequence[float]) -> None:
        """Put masks in place of dropout; their shapes are told by one image."""
        shapes: dict[str, tuple[int, ...]] = {}

        def noting(name: str) -> torch.utils.hooks.RemovableHandle:
            layer = self.body.get_submodule(name)
            return layer.register_forward_hook(lambda own, given, made: shapes.__setitem__(name, tuple(made.shape[1:])))

        hooks = [noting(name) for name in places]
        size = int(self.arguments["size"])
        self.body.features(torch.zeros(1, self.body.channels, size, size))
        for hook in hooks:
            hook.remove()
        for name, share in zip(places, shares, strict=True):
            self.body.set_submodule(name, Mask(shapes[name], share, self.count))

    def features(self, pixels: Tensor) -> Tensor:
        """The mean of the members' features and their raw scores, shape (N, D + M K)."""
        found = self.body.features(pixels.repeat(self.count, 1, 1, 1))
        apart = [part.reshape(self.count, -1, part.shape[1]) for part in (found, self.body.head(found))]
        return torch.cat([apart[0].mean(dim=0), apart[1].transpose(0, 1).flatten(1)], dim=1)

    def members(self, features: Tensor) -> Tensor:
        """The raw scores that came with the features, (N, M, K)."""
        classes = int(self.arguments["classes"])
        return features[:, -self.count * classes :].reshape(-1, self.count, classes)


def has_dropout(network: nn.Module) -> bool:
    """Whether a network has layers that drop something."""
    return any(isinstance(layer, nn.Dropout) and layer.p > 0 for layer in network.modules())
