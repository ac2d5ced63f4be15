"""Batches taken in parts, when memory runs out."""

from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from linnaea.errors import LinnaeaError

FEWEST = 2  # images in a part: batch normalisation makes nothing of one


class ShortageError(LinnaeaError):
    """There is not even memory for the smallest part of a batch."""


def images_in(batch: Any) -> int:
    """How many images a batch has: the rows of its first tensor."""
    return next((len(leaf) for leaf in tree_leaves(batch) if isinstance(leaf, Tensor)), 0)


def in_parts(batch: Any, parts: int) -> list[Any]:
    """A batch, a tensor or a tuple of some, in so many parts that are equal but for one row."""
    if parts == 1:
        return [batch]
    split = [leaf.tensor_split(parts) for leaf in tree_leaves(batch)]
    leaves = [iter(part) for part in zip(*split, strict=True)]
    return [tree_map(lambda _, own=own: next(own), batch) for own in leaves]


def more_parts(batch: Any, parts: int) -> int:
    """Twice as many parts; raises ShortageError where they would be too small, or the batch cannot be taken apart."""
    images, leaves = images_in(batch), tree_leaves(batch)
    apart = all(isinstance(leaf, Tensor) and leaf.ndim and len(leaf) == images for leaf in leaves)
    if not apart or images // (2 * parts) < FEWEST:
        raise ShortageError(
            f"memory ran out in a step of {images // parts} images, which cannot be halved: use a smaller --img-size "
            "or another network, or end other programs."
        )
    return 2 * parts
