"""CIFAR batches: records of labels and 32 x 32 pixels, binary or pickled (Krizhevsky 2009).

<https://www.cs.toronto.edu/~kriz/cifar.html>
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.errors import DataError
from linnaea.runtime.containers.contract import CONTAINERS, Kind
from linnaea.runtime.containers.pickles import read_pickle
from linnaea.runtime.containers.stacks import Stack

BINARY = re.compile(r"^(?:(data_batch_\d+|test_batch)|(train|test))\.bin$")
PICKLED = re.compile(r"^(?:(data_batch_\d+|test_batch)|(train|test))$")
SIDE = 32
PIXELS = 3 * SIDE * SIDE
Bytes = npt.NDArray[np.uint8]


def read_binary(path: Path) -> tuple[Bytes, Bytes]:
    """Labels (N, 1), or coarse and fine (N, 2) in CIFAR-100's `train.bin` and `test.bin`, and pixels (N, 3072).

    Memory-mapped. Raises DataError where the file is not made of whole records.
    """
    named = BINARY.match(path.name)
    labels = 1 if named and named[1] else 2
    size, record = path.stat().st_size, labels + PIXELS
    if size == 0 or size % record:
        raise DataError(
            f"{path} has {size:,} bytes; expected a multiple of {record:,}, a record of {labels} label bytes and "
            f"{PIXELS:,} pixels: it is cut off or not a CIFAR batch."
        )
    records: Bytes = np.memmap(path, np.uint8, "r", shape=(size // record, record))
    return records[:, :labels], records[:, labels:]


def read_pickled(path: Path) -> dict[str, Any]:
    """The dictionary of a pickled batch, its keys as text and its `data` checked to be pixels (N, 3072).

    Raises DataError for anything else. Nothing in the file is executed.
    """
    content = read_pickle(path)
    if isinstance(content, dict):
        batch = {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in content.items()}
        data = batch.get("data")
        if isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 2 and data.shape[1] == PIXELS:
            return batch
    raise DataError(
        f"{path} is not a pickled CIFAR batch: expected a dictionary with `data`, bytes of shape (N, {PIXELS:,})."
    )


def open_binary(path: Path) -> Stack:
    """The images of a binary batch of CIFAR-10 or CIFAR-100."""
    return _stack(read_binary(path)[1])


def open_pickled(path: Path) -> Stack:
    """The images of a batch pickled for Python; nothing in it is executed."""
    return _stack(read_pickled(path)["data"])


def _stack(data: Bytes) -> Stack:
    planes = data.reshape(-1, 3, SIDE, SIDE)
    return Stack(len(planes), (SIDE, SIDE, 3), lambda number: planes[number].transpose(1, 2, 0))


CONTAINERS.register(
    "cifar binary", title="CIFAR batch", meaning="The images of a binary batch of CIFAR-10 or CIFAR-100.", order=10
)(Kind("a CIFAR batch", lambda name: BINARY.match(name) is not None, open_binary))
PICKLE = Kind("a pickled CIFAR batch", lambda name: PICKLED.match(name) is not None, open_pickled)
CONTAINERS.register(
    "cifar pickle",
    title="Pickled CIFAR batch",
    meaning="The images of a batch pickled for Python; nothing in it is executed.",
    order=20,
)(PICKLE)
