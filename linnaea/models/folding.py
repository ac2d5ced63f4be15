"""Networks as they answer fastest: batch normalisation folded into the convolution before it."""

import copy
import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from linnaea.models.model import Model

CLOSE = 1e-4  # of the largest feature: how far rounding may take one
logger = logging.getLogger("linnaea")


@dataclass(frozen=True, eq=False)
class _State:
    """What decides about features; it holds the tensors, so that no other can be taken for one of them."""

    arguments: str
    device: torch.device
    tensors: tuple[Tensor, ...]
    versions: tuple[int, ...]

    @classmethod
    def of(cls, model: Model) -> "_State":
        tensors = (*model.parameters(), *model.buffers())
        return cls(repr(model.arguments), model.device, tensors, tuple(map(_version, tensors)))

    def still_is(self, now: "_State") -> bool:
        """Whether nothing was written to since, and what was laid out anew, as buffers are, is equal."""
        if (self.arguments, self.device, len(self.tensors)) != (now.arguments, now.device, len(now.tensors)):
            return False
        return tuple(map(_version, self.tensors)) == self.versions and all(
            before is after or torch.equal(before, after)
            for before, after in zip(self.tensors, now.tensors, strict=True)
        )


def _version(tensor: Tensor) -> int:
    """How often it was written to; one that was made for inference does not count that, and is not written to."""
    return -1 if tensor.is_inference() else tensor._version


_FOLDED: "WeakKeyDictionary[Model, tuple[_State, Model | None]]" = WeakKeyDictionary()


def folded(model: Model, side: int) -> Model:
    """A model of the same features, of images with sides of so many pixels, with fewer passes over memory.

    It is only for answers, and kept until a weight of the model changes. A model whose features would not stay as they
    are but for rounding, or that has nothing to fold, is given back as it is.
    """
    if not _has_norms(model):
        return model
    state, known = _State.of(model), _FOLDED.get(model)
    if known is None or not known[0].still_is(state):
        known = _FOLDED[model] = state, _fold(model.eval(), side)
    return known[1] or model


def _has_norms(model: Model) -> bool:
    return any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def fold(model: Model, side: int) -> Model:
    """A copy of the model for answers alone, with fewer passes over memory where it can be folded."""
    return _fold(model.eval(), side) or copy.deepcopy(model).requires_grad_(False).eval()


@torch.no_grad()
def _fold(model: Model, side: int) -> Model | None:
    """The folded copy, tried on the processor, where float32 is float32; None where it does not answer the same."""
    if not _has_norms(model):
        return None
    probe = torch.rand((2, model.channels, side, side), generator=torch.Generator().manual_seed(0))
    probe[1] *= 0.5
    try:
        copied = copy.deepcopy(model).cpu()
        pairs, expected = _pairs(copied, probe)
        names = {module: name for name, module in copied.named_modules()}
        for convolution, norm in pairs:
            copied.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, norm))
            copied.set_submodule(names[norm], _rest(norm))
        far = (copied.features(probe) - expected).abs().max()
    except (AttributeError, IndexError, RuntimeError, TypeError) as error:  # what bodies raise that ask for their parts
        logger.debug(f"{model.kind} is not folded: {error}")
        return None
    if not pairs or not bool(far <= CLOSE * expected.abs().max()):
        logger.debug(f"{model.kind} is not folded: {len(pairs)} pairs, features differ by {float(far):.2g}")
        return None
    return copied.requires_grad_(False).to(model.device)


def _pairs(model: Model, probe: Tensor) -> tuple[list[tuple[nn.Conv2d, nn.BatchNorm2d]], Tensor]:
    """Convolutions whose output is what one batch normalisation is given, each time; and the features of `probe`."""
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []  # holds the tensors, so that no two have the same identity

    def note(module: nn.Module, given: tuple[Any, ...], result: Tensor) -> None:
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
