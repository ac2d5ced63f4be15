"""The quick network of cuda-convnet."""

from torch import Tensor, nn
from torch.nn import functional

from linnaea.models.model import MODELS, Model

SIDE = 32


@MODELS.register(
    "cifar10_quick",
    title="CIFAR-10 quick",
    meaning="Three convolutions and two linear layers, for images of 32 pixels (Krizhevsky 2012).",
    from_scratch=True,
)
class Cifar10Quick(Model):
    """The network of cuda-convnet's first example; images are averaged down or enlarged to 32 pixels."""

    kind = "cifar10_quick"

    def __init__(self, classes: int, size: int) -> None:
        super().__init__(classes=classes, size=size)
        self.size = size
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(3, 2), nn.ReLU()),
            *(nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2)),
            *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.AvgPool2d(3, 2)),
            *(nn.Flatten(), nn.Linear(64 * 3 * 3, 64)),
        )
        self.classifier = nn.Linear(64, classes)

    def features(self, pixels: Tensor) -> Tensor:
        """What the last layer but one makes of pixels, shape (N, 64)."""
        if self.size != SIDE:
            pixels = functional.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=self.size > SIDE)
        features: Tensor = self.body(2 * pixels - 1)
        return features

    def head(self, features: Tensor) -> Tensor:
        """Features (N, 64) to logits (N, K)."""
        logits: Tensor = self.classifier(features)
        return logits
