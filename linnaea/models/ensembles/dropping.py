"""Where a network drops features, and how it answers with some of them dropped for good."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError
from linnaea.models.model import Model

HOW = "train it with --dropout 0.2, or name a network that has some, such as textbook_cnn or vgg11"


@dataclass(frozen=True)
class Dropping:
    """The places of a model's dropout layers by name, with their shares; `late` where it is its features alone.

    Of a `late` one, `share` is that of the features which are dropped. Where a network drops its features without a
    layer for it, there are no places.
    """

    places: dict[str, float]
    late: bool
    share: float = 0.0


def dropping_in(model: Model, size: int) -> Dropping:
    """Where a model drops, told by one image of noise of this size; raises UsageError where it does not at all."""
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Dropout) and layer.p > 0}
    probe = torch.rand((1, model.channels, size, size), generator=torch.Generator().manual_seed(0)).to(model.device)
    if not layers:
        return Dropping({}, late=True, share=_share_without_layer(model, probe))
    made: dict[str, Tensor] = {}

    def noting(name: str) -> torch.utils.hooks.RemovableHandle:
        return layers[name].register_forward_hook(lambda layer, given, result: made.__setitem__(name, result))

    hooks = [noting(name) for name in layers]
    with torch.no_grad():
        features = model.eval().features(probe)
    for hook in hooks:
        hook.remove()
    met = {name: layers[name].p for name in made}
    if not met:
        raise UsageError(f"the dropout of {model.kind} does not touch its features: {HOW}.")
    late = len(met) == 1 and all(_same(made[name], features) for name in made)
    return Dropping(met, late, next(iter(met.values())) if late else 0.0)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.numel() == other.numel() and one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


@torch.no_grad()
def _share_without_layer(model: Model, probe: Tensor) -> float:
    """The share of features that the body itself drops (timm does so in a function of its own)."""
    body = getattr(model, "body", None)
    share = float(getattr(body, "drop_rate", 0) or 0)
    if body is not None and share > 0:
        before, whole = body.training, model.eval().features(probe)
        body.training = True
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            some = model.features(probe)
        body.training = before
        kept = some != 0
        if bool((~kept & (whole != 0)).any()) and torch.allclose(some[kept], whole[kept] / (1 - share), rtol=1e-3):
            return share
    raise UsageError(f"{model.kind} drops nothing while it trains, so there is no dropout to keep: {HOW}.")


def masks_for(shape: tuple[int, ...], share: float, members: int, generator: torch.Generator) -> Tensor:
    """What is kept, true or false, of things of this shape by each of so many members, (M, ...)."""
    return torch.rand((members, *shape), generator=generator) >= share


class Mask(nn.Module):
    """Drops for each of M members what its own mask says, and lets what is kept make up for it.

    It is given the images of all members, those of the first one first.
    """

    kept: Tensor

    def __init__(self, shape: tuple[int, ...], share: float, members: int) -> None:
        super().__init__()
        self.share = share
        self.register_buffer("kept", torch.ones((members, *shape), dtype=torch.bool))

    def forward(self, given: Tensor) -> Tensor:
        """The same (M N, ...), with what each member drops at zero."""
        apart = given.reshape(len(self.kept), -1, *given.shape[1:])
        return (apart * self.kept.unsqueeze(1) / (1 - self.share)).flatten(0, 1)
