"""DAISY, by scikit-image."""

import numpy as np
from torch import nn

from linnaea.arrays import Float32, Images
from linnaea.models.classical.features.contract import FEATURES, PLAIN, Feature
from linnaea.models.classical.libraries import library
from linnaea.models.classical.plain.daisy import PlainDaisy

ORIENTATIONS, HISTOGRAMS, RINGS = 8, 6, 2
DENSE = 8  # places per side, for an encoding


@FEATURES.register("daisy", title="DAISY", local=True, plain=True)
class Daisy(Feature):
    """Gradients in circles around points of a grid, with ever wider circles outside (Tola et al. 2010).

    The radius is the spacing of the points; the image is continued beyond its edge, as in a mirror. Squares are half as
    large as those of other features, because it takes ten times as long.
    """

    needs = ("cv2", "skimage.feature")

    def __init__(self, size: int, *, dense: bool = False) -> None:
        super().__init__(size, dense=dense)
        self.side //= 2

    @property
    def points(self) -> int:
        """Places per side."""
        return DENSE if self.dense else PLAIN

    def describe(self, image: Images) -> Float32:
        """An image (S, S, 3) to descriptors (P, 104)."""
        before, after = self.spacing // 2, self.spacing // 2 + 1
        continued = np.pad(self.grey(image), ((before, after), (before, after)), mode="reflect")
        found = library("skimage.feature").daisy(
            continued,
            step=self.spacing,
            radius=self.spacing,
            rings=RINGS,
            histograms=HISTOGRAMS,
            orientations=ORIENTATIONS,
        )
        return np.asarray(found, dtype=np.float32).reshape(self.points**2, -1)

    def plain(self) -> nn.Module:
        """The same as a module of plain operations."""
        return PlainDaisy(self.side, self.spacing, orientations=ORIENTATIONS, histograms=HISTOGRAMS, rings=RINGS)
