"""Classical features on tensors: histograms of oriented gradients and of colours, with a linear classifier.

Written in tensor operations, rather than taken from an image library, so that the very same arithmetic trains,
predicts and exports. Votes are shared between neighbouring orientations as in the original paper, which keeps the
features continuous: a rounding difference between two runtimes cannot move a whole vote.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from linnaea.models.model import MODELS, Model, said
from linnaea.runtime.arguments import COLOUR

CELLS = 8
ORIENTATIONS = 9
COLOURS = 16
LARGEST = 96
STEEPEST = 1e-12
FAINTEST = 1e-5


@MODELS.register("hog", title="HOG", meaning="Histograms of gradients and of colours, with a linear classifier.")
class Hog(Model):
    """HOG (Dalal and Triggs 2005) and colour histograms to a linear layer.

    Images larger than 96 pixels are averaged down to 96; smaller than 16 are enlarged to 16.
    """

    kind = "hog"
    pixels_per_batch = 224 * 224
    tiny = True

    def __init__(self, classes: int, size: int, channels: int = COLOUR) -> None:
        super().__init__(classes=classes, size=size, **said(channels))
        self.side = min(LARGEST, max(2, size // CELLS) * CELLS)
        self.classifier = nn.Linear(hog_length() + colour_length(channels), classes)

    def features(self, pixels: Tensor) -> Tensor:
        """HOG (N, 1764) and colour histograms (N, 192), side by side."""
        if pixels.shape[-1] > self.side:
            pixels = functional.adaptive_avg_pool2d(pixels, self.side)
        elif pixels.shape[-1] < self.side:
            pixels = functional.interpolate(pixels, size=self.side, mode="bilinear", align_corners=False)
        return torch.cat([oriented_gradients(pixels), colour_histograms(pixels)], dim=1)

    def head(self, features: Tensor) -> Tensor:
        """Features (N, 1956) to scores (N, K)."""
        logits: Tensor = self.classifier(features)
        return logits


def hog_length() -> int:
    """Numbers in the HOG of one image: 7 x 7 blocks of 2 x 2 cells with 9 orientations."""
    return (CELLS - 1) ** 2 * 4 * ORIENTATIONS


def colour_length(channels: int = COLOUR) -> int:
    """Numbers in the colour histograms of one image: 2 x 2 quarters, its channels, 16 bins."""
    return 4 * channels * COLOURS


def oriented_gradients(pixels: Tensor) -> Tensor:
    """HOG of pixels (N, 3, S, S), S a multiple of 8: shape (N, 1764), blocks normalised by L2-Hys."""
    across, down = _strongest_gradients(pixels)
    squared = across**2 + down**2
    flat = squared == 0  # where the root has no derivative
    magnitude = torch.sqrt(squared.masked_fill(flat, 1)).masked_fill(flat, 0)
    slope = down / torch.where(across.abs() < STEEPEST, STEEPEST, across)  # exported atan2 is NaN where both are 0
    angle = torch.remainder(torch.atan(slope) / math.pi, 1.0) * ORIENTATIONS - 0.5
    bins = torch.arange(ORIENTATIONS, device=pixels.device, dtype=pixels.dtype).view(1, -1, 1, 1)
    distance = (angle.unsqueeze(1) - bins).abs()
    distance = torch.minimum(distance, ORIENTATIONS - distance)
    votes = functional.relu(1 - distance) * magnitude.unsqueeze(1)
    cells = functional.avg_pool2d(votes, pixels.shape[-1] // CELLS)
    corners = [cells[:, :, :-1, :-1], cells[:, :, :-1, 1:], cells[:, :, 1:, :-1], cells[:, :, 1:, 1:]]
    return _l2_hys(torch.cat(corners, dim=1)).flatten(1)


def _l2_hys(blocks: Tensor) -> Tensor:
    """Normalise over dim 1, cut at 0.2, normalise again; a block without gradients stays zero."""
    cut = functional.normalize(blocks, dim=1, eps=FAINTEST).clamp(max=0.2)
    return functional.normalize(cut, dim=1, eps=FAINTEST)


def _strongest_gradients(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of the channel with the steepest one, zero at the border: two of (N, S, S)."""
    across = functional.pad(pixels[..., :, 2:] - pixels[..., :, :-2], (1, 1))
    down = functional.pad(pixels[..., 2:, :] - pixels[..., :-2, :], (0, 0, 1, 1))
    steepest = (across**2 + down**2).argmax(dim=1, keepdim=True)
    return across.gather(1, steepest)[:, 0], down.gather(1, steepest)[:, 0]


def colour_histograms(pixels: Tensor) -> Tensor:
    """Share of pixels per brightness bin, channel and quarter of the image: shape (N, 192).

    A pixel votes for its two nearest bins, in proportion.
    """
    position = pixels * (COLOURS - 1)
    votes = [functional.relu(1 - (position - centre).abs()) for centre in range(COLOURS)]
    shares = [functional.adaptive_avg_pool2d(vote, 2) for vote in votes]
    return torch.stack(shares, dim=1).flatten(1)
