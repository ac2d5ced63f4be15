"""Any timm network as a body with a linear head."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from linnaea.errors import UsageError, suggest
from linnaea.models.model import MODELS, Model

LARGEST_SPREAD = 255.0
REFUSED = {"checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "num_classes"}
IDENTITY = 1e-3  # statistics this near to 0 and 1 are those of a layer that was folded away


@MODELS.register("network", title="Network of timm", meaning="Any body that timm knows, with a linear head.")
class Network(Model):
    """A timm body, pooled to features, and a linear classifier; `mean` and `std` normalise per channel.

    `arguments_of_body` goes to `timm.create_model` (`{"pad_type": "same"}`); `size` is the side of the images.
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
    ) -> None:
        if not all(0 < value <= LARGEST_SPREAD for value in std):
            raise UsageError(f"std is {list(std)}; expected numbers above 0, in terms of pixels from 0 to 1.")
        extra = dict(arguments_of_body or {})
        super().__init__(name=name, classes=classes, size=size, mean=list(mean), std=list(std), arguments_of_body=extra)
        self.body = create_body(name, size, extra)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1), persistent=False)
        self.classifier = nn.Linear(_feature_length(self.body, size), classes)
        self._kept: list[nn.Module] = []

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
        pooled: Tensor = self.body((pixels - self.mean) / self.std)
        return pooled

    def head(self, features: Tensor) -> Tensor:
        """Features (N, D) to logits (N, K)."""
        logits: Tensor = self.classifier(features)
        return logits


def _is_identity(norm: nn.Module) -> bool:
    """Whether the statistics of a normalisation say that nothing is left to normalise."""
    mean, variance = (norm.get_buffer(name) for name in ("running_mean", "running_var"))
    return bool((mean.abs() < IDENTITY).all() and ((variance - 1).abs() < IDENTITY).all())


def known_network(name: str) -> bool:
    """Whether timm has a network of this name (a pretraining tag such as `.a1_in1k` may follow)."""
    import timm

    return bool(timm.is_model(name.split(".")[0]))


def require_network(name: str) -> None:
    """Raise UsageError with a suggestion unless timm knows the network."""
    import timm

    if not known_network(name):
        hint = suggest(name, timm.list_models())
        raise UsageError(f"unknown model {name!r}: expected the name of a timm network.{hint}")


def create_body(name: str, size: int, extra: Mapping[str, Any]) -> nn.Module:
    """A timm network without its classifier; networks that fix their image size are told it.

    Raises UsageError for an unknown name and for an argument that would read files or change the classifier.
    """
    import timm

    require_network(name)
    refused = sorted(set(extra) & REFUSED)
    if refused:
        raise UsageError(f"the arguments {', '.join(refused)} of {name} must not come from a file: remove them.")
    body: nn.Module
    try:
        body = timm.create_model(name, pretrained=False, num_classes=0, **{"img_size": size, **extra})
    except TypeError:  # it takes images of any size
        body = timm.create_model(name, pretrained=False, num_classes=0, **extra)
    return body


def _feature_length(body: nn.Module, size: int) -> int:
    training = body.training
    with torch.no_grad():
        length = int(body.eval()(torch.zeros(1, 3, size, size)).shape[-1])
    body.train(training)
    return length
