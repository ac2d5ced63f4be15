"""SIFT at points of a grid, by OpenCV."""

import numpy as np

from linnaea.arrays import Float32, Images
from linnaea.models.classical.features.contract import FEATURES, Feature
from linnaea.models.classical.libraries import library

DIAMETERS = 6  # OpenCV's descriptor covers so many diameters of its point


@FEATURES.register("sift", title="SIFT", local=True)
class Sift(Feature):
    """Histograms of gradients in 4 x 4 parts around points of a grid (Lowe 2004), upright, as square roots of shares.

    A descriptor covers two spacings of the grid. The root of shares is that of Arandjelovic and Zisserman (2012).
    """

    operator = "SIFT of OpenCV"

    def describe(self, image: Images) -> Float32:
        """An image (S, S, 3) to descriptors (P, 128)."""
        places = self.keypoints(2 * self.spacing / DIAMETERS)
        found = library("cv2").SIFT_create().compute(self.grey(image), places)[1]
        roots: Float32 = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-6))
        return roots
