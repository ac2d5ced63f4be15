"""How a decoded image looks in a few numbers that cost next to nothing, for those who watch what is served."""

import numpy as np

from linnaea.arrays import Float32, Images
from linnaea.data.images.bands import size_of_bands
from linnaea.data.images.opening import UnreadableError, open_image

SIDE = 112  # pixels at about which an image is measured
LOOKS = ("width", "height", "bytes", "brightness", "spread", "sharpness")


def looks_of(pixels: Images, content: bytes | None, max_pixels: int) -> dict[str, float]:
    """Numbers by the names of `LOOKS` of an image as the classifier sees it, (S, S, C), and of its file's bytes.

    `brightness` is the mean of its grey values from 0 to 1, `spread` their standard deviation, `sharpness` that of
    their Laplacian relative to it. Without `content` only these are known.
    """
    grey = _grey(pixels)
    spread = float(grey.std())
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    sharpness = float(around.std()) / max(spread, 1e-6) if around.size else 0.0
    seen = {"brightness": float(grey.mean()), "spread": spread, "sharpness": sharpness}
    return {name: round(value, 6) for name, value in seen.items()} | _of_file(content, max_pixels)


def _grey(pixels: Images) -> Float32:
    """Grey values from 0 to 1, of every so many pixels; numpy's mean over an axis of three takes five times as long."""
    step = max(1, len(pixels) // SIDE)
    few = pixels[::step, ::step]
    grey = few[:, :, 0].astype(np.float32)
    for channel in range(1, few.shape[2]):
        grey += few[:, :, channel]
    grey /= np.float32(255 * few.shape[2])
    return grey


def _of_file(content: bytes | None, max_pixels: int) -> dict[str, float]:
    if content is None:
        return {}
    try:
        size = size_of_bands(content)
        if size is None:
            with open_image(content, max_pixels) as image:
                size = image.size
    except UnreadableError:
        return {"bytes": len(content)}
    return {"width": size[0], "height": size[1], "bytes": len(content)}
