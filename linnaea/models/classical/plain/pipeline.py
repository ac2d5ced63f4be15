"""A fitted classical pipeline in plain operations, as it leaves in a file."""

from torch import Tensor, nn

from linnaea.models.classical.encodings import Encoding
from linnaea.models.classical.heads import Head
from linnaea.models.classical.plain.squares import in_colours, squares
from linnaea.models.model import Model


class PlainPipeline(Model):
    """What a classical pipeline answers, by operations that torch traces; `describing` maps squares to descriptors."""

    kind = "classical"
    scorer = "classical"

    def __init__(self, size: int, side: int, describing: nn.Module, encoding: Encoding | None, answering: Head) -> None:
        super().__init__()
        self.squares, self.describing = squares(size, side), describing
        self.encoding, self.answering = encoding, answering

    def features(self, pixels: Tensor) -> Tensor:
        """Pixels (N, C, S, S) to features (N, D)."""
        descriptors = self.describing(self.squares(in_colours((pixels * 255).round())))
        described: Tensor = descriptors.flatten(1) if self.encoding is None else self.encoding(descriptors)
        return described

    def head(self, features: Tensor) -> Tensor:
        """Features (N, D) to raw scores (N, K)."""
        scores: Tensor = self.answering(features)
        return scores
