"""Small images that a network can learn: bright bars, upright or lying."""

import numpy as np
import pytest

from linnaea.learning.examples import Examples
from linnaea.learning.rungs import Job, Options
from linnaea.task import TASKS


def bars(count, size=16, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (count, size, size, 3), dtype=np.uint8)
    targets = generator.integers(0, 2, count)
    for image, target in zip(images, targets, strict=True):
        place = generator.integers(2, size - 3)
        view = image if target else image.transpose(1, 0, 2)
        view[place : place + 2] = 220
    return Examples(images, targets.astype(np.int64))


@pytest.fixture
def job():
    return Job(bars(160), bars(80, seed=1), 2, TASKS["binary"], Options(epochs=3, batch_size=32, precision="float32"))


@pytest.fixture
def make_bars():
    return bars
