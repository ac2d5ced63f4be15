"""LeNet-5."""

from torch import Tensor, nn
from torch.nn import functional

from linnaea.models.model import MODELS, Model

SIDE = 32


@MODELS.register(
    "lenet5",
    title="LeNet-5",
    meaning="Three convolutions and two linear layers, for images of 32 pixels (LeCun et al. 1998).",
    from_scratch=True,
)
class LeNet5(Model):
    """The network of LeCun et al. (1998), in colour; images are averaged down or enlarged to 32 pixels."""

    kind = "lenet5"

    def __init__(self, classes: int, size: int) -> None:
        super().__init__(classes=classes, size=size)
        self.size = size
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 6, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(), nn.Linear(120, 84), nn.Tanh()),
        )
        self.classifier = nn.Linear(84, classes)

    def features(self, pixels: Tensor) -> Tensor:
        """What the last layer but one makes of pixels, shape (N, 84)."""
        if self.size != SIDE:
            pixels = functional.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=self.size > SIDE)
        features: Tensor = self.body(2 * pixels - 1)
        return features

    def head(self, features: Tensor) -> Tensor:
        """Features (N, 84) to logits (N, K)."""
        logits: Tensor = self.classifier(features)
        return logits
