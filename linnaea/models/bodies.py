"""Networks by their usual names without their classifiers: those of timm, else those of torchvision."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError, suggest
from linnaea.models import torchvision_bodies
from linnaea.models.timm_import import import_timm

REFUSED = torchvision_bodies.REFUSED | {"checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
STRIDE = 32  # of networks that do not say it
SIDE_CLASSIFIERS = ("AuxLogits",)  # they help in training, and never answer


@dataclass(frozen=True)
class Standard:
    """What is usual for a network: the side of its images, their normalisation, and its classifiers' names.

    `stride` is how many pixels along a side go into a cell of its last map. `licence` and `tag` are those of the
    weights that the library offers, None where it offers none or does not say.
    """

    library: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int
    classifiers: tuple[str, ...]
    licence: str | None = None
    tag: str | None = None


def of_timm(name: str) -> bool:
    """Whether timm has a network of this name (a pretraining tag such as `.a1_in1k` may follow)."""
    return bool(import_timm().is_model(name.split(".")[0]))


def known_network(name: str) -> bool:
    """Whether timm or torchvision has a network of this name."""
    return of_timm(name) or name in torchvision_bodies.networks()


def require_network(name: str) -> None:
    """Raise UsageError with a suggestion unless timm or torchvision knows the network."""
    timm = import_timm()

    if not known_network(name):
        hint = suggest(name, [*timm.list_models(), *torchvision_bodies.networks()])
        raise UsageError(f"unknown model {name!r}: expected the name of a network of timm or torchvision.{hint}")


def create_body(name: str, size: int, extra: Mapping[str, Any]) -> nn.Module:
    """A network without its classifier; networks that fix their image size are told it.

    Raises UsageError for an unknown name and for an argument that would read files or change the classifier, TypeError
    for one that the network does not have.
    """
    require_network(name)
    refused = sorted(set(extra) & REFUSED)
    if refused:
        raise UsageError(
            f"the arguments {', '.join(refused)} of {name} would read files or change its classifier: remove them."
        )
    return _of_timm(name, size, extra) if of_timm(name) else torchvision_bodies.create(name, size, extra)


@cache
def distilled(name: str) -> bool:
    """Whether a network has a distillation token beside the class token (DeiT, Touvron et al. 2021)."""
    if not (of_timm(name) and "head_dist" in standard(name).classifiers):
        return False
    with torch.device("meta"):
        return isinstance(getattr(_of_timm(name, standard(name).size, {}), "dist_token", None), nn.Parameter)


def both_tokens(body: nn.Module, pixels: Tensor) -> Tensor:
    """What the class token and the distillation token of a body came to, one after the other (N, 2 D)."""
    vit: Any = body
    tokens: Tensor = vit.head_drop(vit.forward_features(pixels)[:, :2])
    return tokens.flatten(1)


def _of_timm(name: str, size: int, extra: Mapping[str, Any]) -> nn.Module:
    timm = import_timm()

    body: nn.Module
    try:
        body = timm.create_model(name, pretrained=False, num_classes=0, **{"img_size": size, **extra})
    except TypeError:  # it takes images of any size
        body = timm.create_model(name, pretrained=False, num_classes=0, **extra)
    return body


@cache
def standard(name: str) -> Standard:
    """What is usual for a network that is known."""
    if of_timm(name):
        return _standard_of_timm(name)
    mean, std = torchvision_bodies.normalisation(name)
    return Standard(
        "torchvision",
        torchvision_bodies.usual_size(name),
        mean,
        std,
        torchvision_bodies.stride(name),
        torchvision_bodies.classifiers(name),
    )


def _standard_of_timm(name: str) -> Standard:
    timm = import_timm()

    found = timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()
    heads = found.classifier or ()
    pooled = found.pool_size
    return Standard(
        "timm",
        int(found.input_size[-1]),
        tuple(found.mean),
        tuple(found.std),
        _power_of_two(found.input_size[-1] / pooled[-1]) if pooled else _told_stride(name, found.input_size[-1]),
        (*((heads,) if isinstance(heads, str) else tuple(heads)), *SIDE_CLASSIFIERS),
        licence=found.license if found.has_weights else None,
        tag=found.tag if found.has_weights else None,
    )


def _power_of_two(ratio: float) -> int:
    """The nearest one: sides of images that are not multiples of the stride are rounded by networks."""
    return int(2 ** round(math.log2(ratio)))


def _told_stride(name: str, size: int) -> int:
    """What the network itself says, made without memory for its weights."""
    try:
        with torch.device("meta"):
            told: Any = getattr(_of_timm(name, size, {}), "feature_info", None)
        return int(told[-1]["reduction"])
    except (RuntimeError, NotImplementedError, TypeError, KeyError, IndexError):
        return STRIDE
