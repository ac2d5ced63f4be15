"""Networks as they answer fastest: each batch normalisation folded into the convolution before it."""

import copy
from collections import Counter
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from linnaea.models.model import Model

CLOSE = 1e-4  # of the largest feature: how far rounding may take one
State = tuple[tuple[int, int], ...]
_FOLDED: "WeakKeyDictionary[Model, tuple[State, Model | None]]" = WeakKeyDictionary()


def folded(model: Model, side: int) -> Model:
    """A model of the same features, of pictures with sides of so many pixels, that has no batch normalisation to do.

    It is kept until a weight of the model changes. A model whose features would not stay as they are but for rounding,
    or that has nothing to fold, is given back as it is.
    """
    state = tuple((value.data_ptr(), value._version) for value in model.state_dict(keep_vars=True).values())
    known = _FOLDED.get(model)
    if known is None or known[0] != state:
        known = _FOLDED[model] = state, _fold(model.eval(), side)
    return known[1] or model


@torch.no_grad()
def _fold(model: Model, side: int) -> Model | None:
    probe = torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(0)).to(model.device)
    probe[1] *= 0.5
    copied = copy.deepcopy(model)
    pairs, expected = _pairs(copied, probe)
    if not pairs:
        return None
    names = {module: name for name, module in copied.named_modules()}
    for convolution, norm in pairs:
        copied.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, norm))
        copied.set_submodule(names[norm], _rest(norm))
    far = (copied.features(probe) - expected).abs().max()
    return copied if bool(far <= CLOSE * expected.abs().max()) else None


def _pairs(model: Model, probe: Tensor) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], Tensor]:
    """Convolutions whose output is what one batch normalisation is given, each time; and the features of `probe`."""
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []  # holds the tensors, so that no two have the same identity

    def note(module: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        calls.append((module, given[0], result))

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    hooks = [module.register_forward_hook(note) for module in model.modules() if isinstance(module, kinds)]
    features = model.features(probe)
    for hook in hooks:
        hook.remove()
    times = Counter(module for module, _, _ in calls)
    makers = {id(result): module for module, _, result in calls if isinstance(module, nn.Conv2d)}
    met = Counter((makers.get(id(given)), module) for module, given, _ in calls)
    return [
        (maker, norm)
        for (maker, norm), count in met.items()
        if maker is not None and isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
        if times[maker] == times[norm] == count
    ], features


def _rest(norm: nn.BatchNorm2d) -> nn.Module:
    """What a batch normalisation of timm does besides: its activation."""
    own = [getattr(norm, name, None) for name in ("drop", "act")]
    return nn.Sequential(*(module for module in own if isinstance(module, nn.Module)))
