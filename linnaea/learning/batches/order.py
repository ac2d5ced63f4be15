"""The rows of each batch of an epoch."""

import math

import numpy as np
import torch

from linnaea.arrays import Integers
from linnaea.errors import UsageError


def batches_of(rows: Integers, batch_size: int, generator: torch.Generator, ranks: int = 1) -> list[Integers]:
    """The rows of each batch in random order: as few batches as can be, equal in size but for one row.

    Raises UsageError where not each of `ranks` processes would get an image of every batch. They get every so-manieth.
    """
    shuffled = rows[torch.randperm(len(rows), generator=generator).numpy()]
    batches = np.array_split(shuffled, math.ceil(len(rows) / batch_size))  # none of one
    fewest = min(map(len, batches), default=0)
    if fewest < ranks > 1:
        raise UsageError(
            f"{len(rows)} training images in batches of {batch_size} make one of {fewest}, which {ranks} processes "
            f"cannot share: set --batch-size to {2 * ranks} or more, or start fewer processes."
        )
    return batches
