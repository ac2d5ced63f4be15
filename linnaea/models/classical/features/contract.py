"""The contract of a feature."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from linnaea.arrays import Float32, Images
from linnaea.models.classical.libraries import library
from linnaea.registry import Registry

if TYPE_CHECKING:
    from torch import nn

SMALL, LARGE = 64, 128  # pixels of the squares that images are brought to
PLAIN = 4  # points per side where descriptors are put side by side
SPACING = 8  # pixels between points where descriptors are encoded


class Feature(ABC):
    """An image (S, S, 3) of uint8 to descriptors (P, D) of P places: a grid of `points` by `points`, row by row.

    The descriptors are put side by side, which keeps where they are of, or they are `dense`, for an encoding to count.
    One that has descriptors of places says so by `local=True` in its registration. `needs` are the modules it is
    computed by, and `operator` is what of them no other runtime has; one that can do without it says so by `plain=True`
    in its registration, and gives a module that does.

    Images are enlarged to squares of 64 pixels or, beyond that, brought to 128. It holds no state, so that several
    threads may call it at once.
    """

    needs: ClassVar[tuple[str, ...]] = ("cv2",)
    operator: ClassVar[str] = ""

    def __init__(self, size: int, *, dense: bool = False) -> None:
        for module in self.needs:
            library(module)
        self.size, self.dense = size, dense
        self.side = SMALL if size <= SMALL else LARGE

    @property
    def points(self) -> int:
        """Places per side."""
        return self.side // SPACING if self.dense else PLAIN

    @property
    def spacing(self) -> int:
        """Pixels of the square between two places."""
        return self.side // self.points

    @abstractmethod
    def describe(self, image: Images) -> Float32:
        """An image (S, S, 3) to descriptors (P, D)."""

    def plain(self) -> "nn.Module | None":
        """The same as a module: squares (N, 3, side, side) of whole numbers to descriptors (N, P, D).

        None where it rests on its `operator`.
        """
        return None

    def square(self, image: Images) -> Images:
        """The image at `side` by `side` pixels."""
        opencv = library("cv2")
        if image.shape[0] == self.side:
            return image
        way = opencv.INTER_AREA if image.shape[0] > self.side else opencv.INTER_LINEAR
        resized: Images = opencv.resize(image, (self.side, self.side), interpolation=way)
        return resized

    def grey(self, image: Images) -> Images:
        """The square without its colours, (side, side)."""
        opencv = library("cv2")
        plain: Images = opencv.cvtColor(self.square(image), opencv.COLOR_RGB2GRAY)
        return plain

    def places(self) -> Float32:
        """Where the centres of the places lie in the square, across and down (P, 2), in pixels."""
        middle = (np.arange(self.points, dtype=np.float32) + 0.5) * self.spacing - 0.5
        down, across = np.meshgrid(middle, middle, indexing="ij")
        return np.stack([across.ravel(), down.ravel()], axis=1)

    def keypoints(self, diameter: float) -> list[Any]:
        """The places as OpenCV has them, upright."""
        opencv = library("cv2")
        return [opencv.KeyPoint(float(across), float(down), diameter, 0.0) for across, down in self.places()]


FEATURES: Registry[type[Feature]] = Registry(
    "feature",
    "linnaea.models.classical.features",
    title="Features",
    use="Joined to a head: `linnaea train --model hog+svm`.",
)
