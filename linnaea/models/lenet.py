"""LeNet-5, the network that read digits (LeCun, Bottou, Bengio and Haffner 1998)."""

from torch import Tensor, nn

from linnaea.models.model import MODELS, Model, said
from linnaea.models.resizing import averaged_to
from linnaea.runtime.arguments import COLOUR

SIDE = 32
MAPS, CONNECTED = (6, 16), (120, 84)


@MODELS.register(
    "lenet5",
    title="LeNet-5",
    meaning="The network of 1998: two convolutions, averaged, and three layers, on images of 32 pixels.",
    from_scratch=True,
)
class LeNet5(Model):
    """Two 5 x 5 convolutions, each followed by averaging, then layers of 120 and 84, with tanh throughout.

    Images of another `size` than 32 are made 32 pixels wide within it. As usual today, every map of the second
    convolution sees all of the first, and the last layer is linear rather than of radial basis functions.
    """

    kind = "lenet5"

    def __init__(self, classes: int, size: int, channels: int = COLOUR) -> None:
        super().__init__(classes=classes, size=size, **said(channels))
        first, second = MAPS
        wide, narrow = CONNECTED
        self.body = nn.Sequential(
            nn.Conv2d(channels, first, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(first, second, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(second * 5 * 5, wide),
            nn.Tanh(),
            nn.Linear(wide, narrow),
            nn.Tanh(),
        )
        self.classifier = nn.Linear(narrow, classes)

    def features(self, pixels: Tensor) -> Tensor:
        """What the last layer is given, shape (N, 84)."""
        found: Tensor = self.body(2 * averaged_to(pixels, SIDE) - 1)
        return found

    def head(self, features: Tensor) -> Tensor:
        """Features (N, 84) to logits (N, K)."""
        logits: Tensor = self.classifier(features)
        return logits
