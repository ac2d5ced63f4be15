"""Matlab files of Street View House Numbers, cropped digits: `X` (32, 32, 3, N) and `y` (Netzer et al. 2011)."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.containers.contract import CONTAINERS, MOST_ARRAY_BYTES, Kind, require_no_bomb
from linnaea.runtime.containers.stacks import Stack
from linnaea.runtime.reading import open_regular


def read_svhn(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pixels (H, W, 3, N) and labels (N,) from 1 to 10; raises DataError for another file."""
    about = path.stat()
    return _read(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=2)  # labels and pixels are asked for one after the other, and lie in one file
def _read(path: Path, *state: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    content = _load(path)
    images, labels = content.get("X"), content.get("y")
    if images is None or labels is None or images.dtype != np.uint8 or images.ndim != 4 or images.shape[2] != 3:
        raise DataError(f"{path} is not an SVHN file: expected X, bytes of shape (32, 32, 3, N), and y with N labels.")
    if labels.size != images.shape[3]:
        raise DataError(f"{path} has {images.shape[3]} images and {labels.size} labels: expected one label per image.")
    return images, labels.ravel().astype(np.int64)


def _load(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat

    with open_regular(path) as opened, parsing(path, "a Matlab file of version 5"):
        stream: Any = opened  # scipy's stubs know paths alone
        held = {name: int(np.prod(shape, dtype=np.int64)) for name, shape, _ in whosmat(stream)}
        if max(held.values(), default=0) > MOST_ARRAY_BYTES:
            raise DataError(
                f"{path} says that it holds {max(held.values()):,} numbers: more than {MOST_ARRAY_BYTES:,}."
            )
        require_no_bomb(path, max(held.values(), default=0))
        stream.seek(0)
        content: dict[str, Any] = loadmat(stream, variable_names=["X", "y"])
    return content


def open_svhn(path: Path) -> Stack:
    """The images of a Matlab file of cropped house numbers."""
    images, _ = read_svhn(path)
    return Stack(images.shape[3], images.shape[:3], lambda number: images[..., number])


CONTAINERS.register(
    "svhn", title="Matlab file of SVHN", meaning="The images of a Matlab file of cropped house numbers.", order=40
)(Kind("a Matlab file of version 5", lambda name: name.lower().endswith(".mat"), open_svhn))
