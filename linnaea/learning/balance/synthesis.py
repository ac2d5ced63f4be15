"""Images of a rare class, drawn from a density that was fitted to its own.

The generator is a small one, linear, and made for few images: principal components of the class's images, and a
kernel around each of their codes. It varies what differs between the class's own images (light, size, place, form);
it invents no new object, and where the images do not resemble each other what it makes looks like double exposures.
"""

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Images, Integers
from linnaea.learning.balance.contract import BALANCERS, Balancer

MOST_COMPONENTS = 64
MOST_STUDIED = 256
MOST_BYTES = 2**30
BATCH_BYTES = 2**26


def synthetic(images: Images, targets: Integers, seed: int, spread: float) -> tuple[Images, Integers]:
    """Fill each class up to the largest with images from its own principal components (Silverman and Young 1987).

    An image is a real one, moved along each component of its class by a normal random number with 0.3 of the
    component's standard deviation. A class of one image is repeated. At most a gibibyte is made.
    """
    present, counts = np.unique(targets, return_counts=True)
    missing = counts.max() - counts
    room = MOST_BYTES // images[0].nbytes
    missing = missing * min(room, int(missing.sum())) // max(int(missing.sum()), 1)
    random = np.random.default_rng(seed)
    made = [
        make(images[random.permutation(np.flatnonzero(targets == number))[:MOST_STUDIED]], count, random, spread)
        for number, count in zip(present, missing.tolist(), strict=True)
    ]
    return np.concatenate(made), np.repeat(present, missing).astype(targets.dtype)


def make(images: Images, count: int, random: np.random.Generator, spread: float) -> Images:
    """Images (count, S, S, 3) of uint8 like the images (N, S, S, 3) of one class."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    mean = flat.mean(axis=0)
    components, codes = _principal(flat - mean)
    made = np.empty((count, *images.shape[1:]), dtype=np.uint8)
    step = max(1, BATCH_BYTES // (4 * flat.shape[1]))
    for start in range(0, count, step):
        part = made[start : start + step]
        noise = random.normal(size=(len(part), codes.shape[1])).astype(np.float32)
        rows = random.integers(len(images), size=len(part))
        moved = flat[rows] + (spread * noise * codes.std(axis=0)) @ components
        part[:] = np.clip(np.rint(moved), 0, 255).astype(np.uint8).reshape(part.shape)
    return made


def _principal(centred: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The leading directions (Q, D) of centred rows (N, D), of length 1, and the rows' places along them (N, Q)."""
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    kept = values > max(float(values.max()), 1.0) * 1e-6
    lengths = np.sqrt(values[kept])[-MOST_COMPONENTS:]
    codes = (vectors[:, kept][:, -MOST_COMPONENTS:] * lengths).astype(np.float32)
    return (codes / lengths**2).T.astype(np.float32) @ centred, codes


BALANCERS.register(
    "synthetic",
    title="Synthetic images",
    meaning="Fill each class up with images from its own principal components (Silverman and Young 1987).",
    amount=("the spread", 0.3, 0, 1),
)(Balancer("pictures", synthetic))
