"""The rows of each batch of an epoch."""

import math

import numpy as np
import torch

from linnaea.arrays import Integers


def batches_of(rows: Integers, batch_size: int, generator: torch.Generator, rank: int, ranks: int) -> list[Integers]:
    """The rows of each batch in random order: as few batches as can be, equal in size but for one row.

    Of `ranks` processes this one, `rank`, gets every so-manieth row of each.
    """
    shuffled = rows[torch.randperm(len(rows), generator=generator).numpy()]
    batches = np.array_split(shuffled, math.ceil(len(rows) / batch_size))  # none of one
    return [batch[rank::ranks] for batch in batches]
