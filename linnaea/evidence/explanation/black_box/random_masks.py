"""RISE: the mean of random masks, weighted by what is answered when only they are left."""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import zoom

from linnaea.arrays import Array, Float32, Floats
from linnaea.evidence.explanation.black_box.covering import Answer, answered

CELLS = 7
KEPT = 0.5


def random_masks(
    shape: tuple[int, int], count: int, seed: int, cells: int = CELLS, kept: float = KEPT
) -> Iterator[Float32]:
    """Smooth masks (H, W) in [0, 1]: grids of 0 and 1 enlarged, each shifted by less than a cell (Petsiuk 2018)."""
    random = np.random.default_rng(seed)
    cells = min(cells, *shape)
    steps = [-(-length // cells) for length in shape]
    down, across = (_enlarging(cells + 1, step) for step in steps)
    for _ in range(count):
        grid = (random.random((cells + 1, cells + 1)) < kept).astype(np.float32)
        top, left = (int(random.integers(step)) for step in steps)
        yield np.asarray(down[top : top + shape[0]] @ grid @ across[left : left + shape[1]].T)


def _enlarging(length: int, step: int) -> Float32:
    """The matrix (length * step, length) that enlarges a column linearly."""
    identity = np.eye(length, dtype=np.float32)
    return np.asarray(zoom(identity, (step, 1), order=1, grid_mode=True, mode="nearest"), dtype=np.float32)


def rise_map(answer: Answer, image: Array, target: int, *, evaluations: int, seed: int) -> Floats:
    """How much likelier the class is where a pixel (H, W) is seen than over all masks.

    The mean of the masks weighted by the answers, over the mean of the masks, less the mean answer: as Petsiuk et al.
    (2018) define it, with the mean of the masks that were drawn in place of its expectation.
    """
    shape = (image.shape[0], image.shape[1])
    said = answered(answer, image, random_masks(shape, evaluations, seed), target)
    weighted, seen = np.zeros(shape), np.zeros(shape)
    for mask, value in zip(random_masks(shape, evaluations, seed), said.tolist(), strict=True):
        weighted += value * mask
        seen += mask
    return np.asarray(weighted / np.maximum(seen, 1e-9) - said.mean())
