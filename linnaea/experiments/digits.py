"""The pictures of the demonstration."""

from pathlib import Path

import numpy as np
from PIL import Image

ENLARGED = 4


def write_digits(folder: Path) -> Path:
    """Write scikit-learn's digits (Alpaydin and Kaynak 1998) as 32-pixel PNG files in a folder per class."""
    from sklearn.datasets import load_digits

    images, targets = load_digits(return_X_y=True)
    for number, (pixels, target) in enumerate(zip(images.reshape(-1, 8, 8), targets, strict=True)):
        place = folder / str(target) / f"{number:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((pixels / 16 * 255).round().astype(np.uint8))
        grey.resize((8 * ENLARGED, 8 * ENLARGED), Image.Resampling.BICUBIC).save(place)
    return folder


def write_photo(path: Path) -> Path:
    """Write scikit-learn's photograph of a flower."""
    from sklearn.datasets import load_sample_image

    Image.fromarray(load_sample_image("flower.jpg")).save(path, quality=90)
    return path
