"""The side of the images that rungs are given, where nobody said it."""

import math
from collections.abc import Sequence

from linnaea.data.images.pixels import usual_side
from linnaea.dataset import Dataset
from linnaea.learning.rungs import Step

SIZE_FROM_SCRATCH = (32, 128)


def picture_size(dataset: Dataset, steps: Sequence[Step]) -> int:
    """The size of the weights' images; without weights, that of the images, from 32 to 128, by steps of 32."""
    sizes = [step.weights.size for step in steps if step.weights is not None]
    if sizes:
        return max(sizes)
    smallest, largest = SIZE_FROM_SCRATCH
    usual = usual_side(dataset.paths) or smallest
    return int(min(largest, max(smallest, math.ceil(usual / 32) * 32)))
