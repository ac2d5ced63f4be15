"""Which augmentations are the objective's: those that mix images, and their labels with them."""

from collections.abc import Sequence

from linnaea.learning.amounts import look_up
from linnaea.learning.augmentations import AUGMENTATIONS, Mixing


def parted(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of augmentations that change images alone, and then of those that mix them; each in their order.

    A source of batches does the former, the objective, which knows the labels, the latter. Raises UsageError for a name
    that means nothing.
    """
    mixing = [name for name in names if isinstance(look_up(AUGMENTATIONS, name)[0], Mixing)]
    return [name for name in names if name not in mixing], mixing
