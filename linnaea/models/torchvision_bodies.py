"""Networks of torchvision without their classifiers, such as AlexNet, GoogLeNet, ShuffleNet and SqueezeNet."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

MARKER = 1009  # classes: a number that no layer of these networks has but the last
REFUSED = {"weights", "weights_backbone", "progress", "pretrained", "num_classes", "aux_logits", "transform_input"}
SIDE_IN_SIGNATURE = {"vit_": "image_size", "maxvit_": "input_size"}
WITH_SIDE_CLASSIFIERS = ("googlenet", "inception_v3")  # they pay beside the last one in training, and never answer
SIDE_CLASSIFIERS = ("aux1", "aux2", "AuxLogits")
STRIDES = {"squeezenet": 16, "vit_b_16": 16, "vit_l_16": 16, "vit_h_14": 14}  # all others: 32
STRIDE = 32
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # of the first Inceptions, whose weights come from TensorFlow
Parts = tuple[str, ...]


@cache
def networks() -> tuple[str, ...]:
    """The names of torchvision's classification networks."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def create(name: str, size: int, extra: Mapping[str, Any]) -> nn.Module:
    """The body of this name; one that fixes the side of its images is told it. Raises TypeError for odd arguments."""
    body = _whole(name, size, extra)
    for place in _classifiers(body):
        body.set_submodule(place, nn.Identity())
    return body


def classifiers(name: str) -> Parts:
    """The layers of the network of this name that give a number per class."""
    with torch.device("meta"):
        return (*_classifiers(_whole(name, 224, {})), *SIDE_CLASSIFIERS)


def stride(name: str) -> int:
    """Pixels of an image, along a side, to a cell of the last map."""
    return next((value for begin, value in STRIDES.items() if name.startswith(begin)), STRIDE)


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that its pretrained weights expect."""
    return HALVES if name in WITH_SIDE_CLASSIFIERS else IMAGENET


def usual_size(name: str) -> int:
    """Side of the images that its pretrained weights saw in evaluation."""
    weights = pretrained(name)
    found = getattr(weights.transforms(), "crop_size", None) if weights is not None else None
    return int(found[0] if isinstance(found, list | tuple) else found or 224)


def pretrained(name: str) -> Any:
    """What torchvision says of its usual weights: url, transforms, meta; None where it has none."""
    from torchvision import models

    return getattr(models.get_model_weights(name), "DEFAULT", None)


def _whole(name: str, size: int, extra: Mapping[str, Any]) -> nn.Module:
    from torchvision import models

    own: dict[str, Any] = {keyword: size for begin, keyword in SIDE_IN_SIGNATURE.items() if name.startswith(begin)}
    if name.startswith("maxvit_"):
        own["input_size"] = (size, size)
    if name in WITH_SIDE_CLASSIFIERS:
        own |= {"aux_logits": False, "init_weights": False}
    network: nn.Module = models.get_model(name, weights=None, num_classes=MARKER, **{**own, **extra})
    if name in WITH_SIDE_CLASSIFIERS:
        _begin_as_today(network)
    return network


def _begin_as_today(network: nn.Module) -> None:
    """Random weights by He et al. 2015: those of the paper are so small that in evaluation all images look alike."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")


def _classifiers(network: nn.Module) -> Parts:
    return tuple(
        place
        for place, part in network.named_modules()
        if getattr(part, "out_features", None) == MARKER or getattr(part, "out_channels", None) == MARKER
    )
