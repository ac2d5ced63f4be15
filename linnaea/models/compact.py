"""A compact residual network for training from scratch in minutes on a CPU.

The ingredients are those of the fast CIFAR-10 recipes: a fixed stem that whitens patches of the training images
(Page 2019, "How to train your ResNet"), few wide layers, pooling early, scaled logits (Jordan 2024, "94 % on CIFAR-10
in 3.29 seconds on a single GPU"), here with residual second convolutions.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from linnaea.models.convolution import Convolution
from linnaea.models.model import MODELS, Model, said
from linnaea.runtime.arguments import COLOUR

GRID = 32
COMPONENTS = 12
LOGIT_SCALE = 1 / 9
WIDTHS = (48, 128, 192)
NORM_MOMENTUM = 0.2


@MODELS.register(
    "compact",
    title="Compact network",
    meaning="A whitened stem and three residual blocks, to be trained from scratch in minutes.",
    from_scratch=True,
)
class Compact(Model):
    """Whitening stem, three pooled residual blocks, global maximum, linear head.

    `size` is the side of the images, of which the stem makes a grid of about 32 x 32; `widths` the channels of the
    blocks; `mirrored` says whether answers are the mean over an image and its mirror image, `biased` whether the head
    has a bias. Call `whiten` once with training images before training.
    """

    kind = "compact"
    logit_scale = LOGIT_SCALE

    def __init__(
        self,
        classes: int,
        size: int,
        widths: Sequence[int] = WIDTHS,
        mirrored: bool = False,
        biased: bool = False,
        channels: int = COLOUR,
    ) -> None:
        super().__init__(
            classes=classes, size=size, widths=list(widths), mirrored=mirrored, biased=biased, **said(channels)
        )
        self.mirrored = mirrored
        stride = max(1, size // GRID)
        self.stem = nn.Conv2d(channels, 2 * COMPONENTS, 2 * stride, stride, bias=False)
        self.stem.weight.requires_grad = False
        before = [2 * COMPONENTS, *widths]
        self.blocks = nn.Sequential(*(Block(given, after) for given, after in zip(before, widths, strict=False)))
        self.classifier = nn.Linear(widths[-1], classes, bias=biased)

    def features(self, pixels: Tensor) -> Tensor:
        """The strongest response of each channel anywhere in the image, shape (N, 192)."""
        if self.mirrored and not self.training:
            return (self._strongest(pixels) + self._strongest(pixels.flip(3))) / 2
        return self._strongest(pixels)

    def arguments_for(self, classes: int) -> dict[str, Any]:
        """Those of this one, with a bias."""
        return {**super().arguments_for(classes), "biased": True}

    def look_at_both_sides(self, both: bool = True) -> None:
        """From here on, answer by the mean over an image and its mirror image, which costs twice the time, or not."""
        self.mirrored = self.arguments["mirrored"] = both

    def _strongest(self, pixels: Tensor) -> Tensor:
        maps: Tensor = self.blocks(functional.relu(self.stem(pixels)))
        return maps.amax(dim=(2, 3))

    def head(self, features: Tensor) -> Tensor:
        """Features (N, 192) to logits (N, K), scaled down to start gently."""
        logits: Tensor = self.classifier(features) * self.logit_scale
        return logits

    @torch.no_grad()
    def whiten(self, pixels: Tensor, epsilon: float = 5e-4) -> None:
        """Set the stem to the leading principal directions of patches of `pixels` (N, C, H, W), and their negatives."""
        kernel, stride = self.stem.kernel_size[0], self.stem.stride[0]
        width, count = self.channels * kernel * kernel, 0
        total, products = torch.zeros(width, dtype=torch.float64), torch.zeros(width, width, dtype=torch.float64)
        for start in range(0, len(pixels), 50):
            patches = (
                functional.unfold(pixels[start : start + 50], kernel, stride=stride)
                .transpose(1, 2)
                .reshape(-1, width)
                .double()
            )
            total, products, count = total + patches.sum(dim=0), products + patches.T @ patches, count + len(patches)
        mean = total / count
        values, vectors = torch.linalg.eigh(products / count - torch.outer(mean, mean))
        values, vectors = values[-COMPONENTS:], vectors[:, -COMPONENTS:]
        filters = (vectors / torch.sqrt(values + epsilon)).T.reshape(-1, self.channels, kernel, kernel).float()
        self.stem.weight.copy_(torch.cat([filters, -filters]))


class Block(nn.Module):
    """Convolution, pooling, then a residual convolution; norms learn a shift but no scale.

    The first convolution starts as the identity on the channels it is given (Zagoruyko and Komodakis 2017).
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = Convolution(before, after)
        self.first_norm = nn.BatchNorm2d(after, momentum=NORM_MOMENTUM)
        self.second = Convolution(after, after)
        self.second_norm = nn.BatchNorm2d(after, momentum=NORM_MOMENTUM)
        self.first_norm.weight.requires_grad = self.second_norm.weight.requires_grad = False
        nn.init.dirac_(self.first.weight[: min(before, after)])

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, before, H, H) to (N, after, H // 2, H // 2); a single pixel stays one."""
        pooled = functional.max_pool2d(self.first(inputs), min(2, inputs.shape[-1]))
        middle = functional.relu(self.first_norm(pooled))
        return middle + functional.relu(self.second_norm(self.second(middle)))
