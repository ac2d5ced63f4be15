"""The contract of splitters: what they are given, what they give back, and where they are registered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from linnaea.data.splits.units import Units
from linnaea.dataset import Dataset
from linnaea.registry import Registry


@dataclass(frozen=True)
class Deal:
    """What is to be dealt: the images of `dataset` in whole `units`, to parts with their `shares`, in their order.

    Shares are above 0 and sum to 1.
    """

    dataset: Dataset
    units: Units
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Dealt:
    """The part of each row of the dataset; None for rows that no part may have, with the `reason`."""

    parts: Sequence[str | None]
    reason: str = ""


Splitter = Callable[[Deal], Dealt]
SPLITTERS: Registry[Splitter] = Registry(
    "splitter",
    "linnaea.data.splits",
    title="Splitters",
    use="Chosen with `linnaea split --by` and `linnaea train --split-by`.",
)
