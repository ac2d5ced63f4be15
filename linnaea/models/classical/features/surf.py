"""SURF at points of a grid, by mahotas."""

import numpy as np

from linnaea.arrays import Float32, Images
from linnaea.models.classical.features.contract import FEATURES, Feature
from linnaea.models.classical.libraries import library

REACH = 24  # pixels that mahotas wants around a point at the scale 1
COVERED = 20  # pixels that a descriptor covers at the scale 1


@FEATURES.register("surf", title="SURF", local=True)
class Surf(Feature):
    """Sums of Haar wavelets in 4 x 4 parts around points of a grid (Bay et al. 2006), turned to their main direction.

    A descriptor covers two spacings of the grid; the image is continued beyond its edge, as in a mirror.
    """

    needs = ("cv2", "mahotas.features.surf")
    operator = "SURF of mahotas"

    def describe(self, image: Images) -> Float32:
        """An image (S, S, 3) to descriptors (P, 64)."""
        scale = 2 * self.spacing / COVERED
        margin = int(np.ceil(REACH * scale))
        continued = np.pad(self.grey(image), margin, mode="symmetric")
        places = self.places()[:, ::-1] + margin
        points = np.column_stack([places, np.full(len(places), scale), np.ones((len(places), 2))])
        found = library("mahotas.features.surf").descriptors(continued, points, descriptor_only=True)
        return np.asarray(found, dtype=np.float32)
