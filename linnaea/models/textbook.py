"""The convolutional network of textbooks: convolution, pooling, the same again, a dense layer, dropout."""

from torch import Tensor, nn

from linnaea.errors import UsageError
from linnaea.models.model import MODELS, Model, said
from linnaea.models.resizing import averaged_to
from linnaea.runtime.arguments import COLOUR

LARGEST = 64
SMALLEST = 8
WIDTHS = (32, 64)


@MODELS.register(
    "textbook_cnn",
    title="Textbook network",
    meaning="Convolution, pooling, convolution, pooling, a dense layer and dropout, as textbooks teach it.",
    from_scratch=True,
)
class TextbookNetwork(Model):
    """Two 3 x 3 convolutions of 32 and 64 channels, each pooled by its maximum, then `dense` numbers with dropout.

    Images larger than 64 pixels are averaged down to 64 within it, or the dense layer would hold nearly all weights;
    smaller than 8 are enlarged. `dropout` is the share of the dense layer that is left out in training.
    """

    kind = "textbook_cnn"

    def __init__(self, classes: int, size: int, dense: int = 128, dropout: float = 0.5, channels: int = COLOUR) -> None:
        if dense < 1 or not 0 <= dropout < 1:
            raise UsageError(
                f"dense is {dense} and dropout {dropout}; expected at least 1, and a share from 0 below 1."
            )
        super().__init__(classes=classes, size=size, dense=dense, dropout=dropout, **said(channels))
        self.side = min(LARGEST, max(SMALLEST, size))
        first, second = WIDTHS
        self.body = nn.Sequential(
            nn.Conv2d(channels, first, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * (self.side // 2 // 2) ** 2, dense),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(dense, classes)

    def features(self, pixels: Tensor) -> Tensor:
        """The dense layer, shape (N, dense)."""
        found: Tensor = self.body(2 * averaged_to(pixels, self.side) - 1)
        return found

    def head(self, features: Tensor) -> Tensor:
        """Features (N, dense) to logits (N, K)."""
        logits: Tensor = self.classifier(features)
        return logits
