"""The contract of a query strategy: which images without labels are worth labelling next."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.registry import Registry


@dataclass(frozen=True, eq=False)
class Pool:
    """N images without labels, as a strategy sees them.

    `probabilities` are (N, K), each row summing to 1 or, with `several` labels, each class by itself. `features` (N, D)
    are what a network makes of them, `known` (n, D) those of images that are labelled already, `information` (N,) is
    what members disagree by, in nats; None where there is none. All random numbers come from `seed`.
    """

    probabilities: Floats
    features: Floats | None = None
    known: Floats | None = None
    information: Floats | None = None
    several: bool = False
    seed: int = 0

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def random(self) -> np.random.Generator:
        """A new generator of the seed's numbers."""
        return np.random.default_rng(self.seed)

    def of(self, name: str) -> Floats:
        """Features, known ones or information, which a strategy that `needs` them is given."""
        values: Any = getattr(self, name)
        assert values is not None, f"a strategy that uses {name} says so in `needs`"
        return np.asarray(values, dtype=np.float64 if name == "information" else np.float32)

    def take(self, rows: Integers) -> "Pool":
        """Those of these images."""
        features, information = (None if part is None else part[rows] for part in (self.features, self.information))
        return Pool(self.probabilities[rows], features, self.known, information, self.several, self.seed)


Strategy = Callable[[Pool, int], Integers]
QUERIES: Registry[Strategy] = Registry(
    "query strategy",
    "linnaea.learning.queries",
    title="Query strategies",
    use="Chosen with `linnaea ask --method`: which images to label next.",
)
"""A member maps a pool and a number to so many different rows of it, the first to be labelled first.

It is asked for at least one image and for no more than there are. Capabilities: `needs`, a tuple of what it cannot do
without: "features" of the pool, "known" features of labelled images, "information" of members.
"""


def needs_of(name: str) -> tuple[str, ...]:
    """What a strategy cannot do without."""
    told = QUERIES.about(name).capabilities.get("needs", ())
    assert isinstance(told, tuple), f"{name}: needs is a tuple"
    return told
