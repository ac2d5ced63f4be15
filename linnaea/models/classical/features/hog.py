"""Histograms of oriented gradients, by scikit-image."""

import numpy as np
from torch import nn

from linnaea.arrays import Float32, Images
from linnaea.models.classical.features.contract import FEATURES, Feature
from linnaea.models.classical.libraries import library
from linnaea.models.classical.plain.hog import PlainHog

CELLS, ORIENTATIONS = 8, 9


@FEATURES.register("hog", title="HOG", local=True, plain=True)
class OrientedGradients(Feature):
    """Histograms of oriented gradients (Dalal and Triggs 2005): 9 orientations in 7 x 7 blocks of 2 x 2 cells."""

    needs = ("cv2", "skimage.feature")

    @property
    def points(self) -> int:
        """Blocks per side."""
        return CELLS - 1

    def describe(self, image: Images) -> Float32:
        """An image (S, S, 3) to blocks (49, 36)."""
        cell = self.side // CELLS
        blocks = library("skimage.feature").hog(
            self.square(image),
            orientations=ORIENTATIONS,
            pixels_per_cell=(cell, cell),
            cells_per_block=(2, 2),
            feature_vector=False,
            channel_axis=-1,
        )
        return np.asarray(blocks, dtype=np.float32).reshape(self.points**2, -1)

    def plain(self) -> nn.Module:
        """The same as a module of plain operations."""
        return PlainHog(self.side, CELLS, ORIENTATIONS)
