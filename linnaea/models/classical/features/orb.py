"""ORB's descriptors at points of a grid, by OpenCV."""

import numpy as np

from linnaea.arrays import Float32, Images
from linnaea.models.classical.features.contract import FEATURES, Feature
from linnaea.models.classical.libraries import library

PATCH = 31


@FEATURES.register("orb", title="ORB", local=True)
class Orb(Feature):
    """256 comparisons of brightness in 31 x 31 pixels around points of a grid, each 0 or 1 (Rublee et al. 2011).

    Upright; squared distances between them are Hamming distances.
    """

    operator = "ORB of OpenCV"

    def describe(self, image: Images) -> Float32:
        """An image (S, S, 3) to descriptors (P, 256)."""
        orb = library("cv2").ORB_create(edgeThreshold=0, patchSize=PATCH)
        found = orb.compute(self.grey(image), self.keypoints(float(PATCH)))[1]
        return np.unpackbits(found, axis=1).astype(np.float32)
