"""The types of arrays by what they hold; shapes are told where they are used."""

from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Targets = npt.NDArray[Any]  # class indices (N,) or, of several labels, 0, 1 and NaN (N, K)
Array = npt.NDArray[Any]


def in_colours(images: Images) -> Images:
    """Images (..., C) as colours (..., 3), to be looked at: of more channels the first three, of fewer the first."""
    channels = images.shape[-1]
    if channels == 3:
        return images
    return images[..., :3] if channels > 3 else np.repeat(images[..., :1], 3, axis=-1)
