"""The images of batches, those that are streamed decoded while the network learns from the ones before."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from linnaea.arrays import Images, Integers
from linnaea.data.images.streamed import streamed
from linnaea.learning.examples import Examples

AHEAD = 2  # batches


def batches_ahead(
    examples: Examples, parts: Sequence[Integers], own: slice = slice(None)
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, C, S, S) of uint8, laid out channels last, and targets (B,) or (B, K) of the rows of each batch.

    Of images that are streamed only the `own` ones of a batch are decoded, two batches ahead; the others are black.
    """
    images = streamed(examples.images)
    if images is None:
        yield from (examples.batch(rows) for rows in parts)
        return
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[Images]] = deque()
        try:
            for number, rows in enumerate(parts):
                waiting.extend(
                    pool.submit(images.filled, later, own)
                    for later in parts[number + len(waiting) : number + 1 + AHEAD]
                )
                pixels = waiting.popleft().result()
                yield torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(examples.targets[rows])
        finally:
            for future in waiting:
                future.cancel()
