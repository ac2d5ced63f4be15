"""Images that would change the classifier much, each in another direction."""

from dataclasses import dataclass

import numpy as np

from linnaea.arrays import Float64, Integers
from linnaea.learning.queries.contract import QUERIES, Pool


@dataclass(frozen=True, eq=False)
class Gradients:
    """The gradients (N, K D) of the loss by a linear head's weights, should the answer be right: errors times features.

    They are never written out: lengths and products of two follow from those of their factors `errors` (N, K) and
    `features` (N, D).
    """

    errors: Float64
    features: Float64

    @classmethod
    def of(cls, pool: Pool) -> "Gradients":
        """Those of a pool."""
        shares = pool.probabilities.astype(np.float64)
        answers = shares >= 0.5 if pool.several else shares == shares.max(axis=1, keepdims=True)
        return cls(shares - answers, pool.of("features").astype(np.float64))

    @property
    def squares(self) -> Float64:
        """Squared lengths (N,)."""
        own = (np.einsum("nd,nd->n", part, part) for part in (self.errors, self.features))
        return np.asarray(np.prod(list(own), axis=0))

    def products(self, row: int) -> Float64:
        """The product of each with that of one row (N,)."""
        return np.asarray((self.errors @ self.errors[row]) * (self.features @ self.features[row]))


@QUERIES.register(
    "badge",
    title="BADGE",
    meaning="Images whose gradients are long and differ, by the seeding of k-means++ (Ash et al. 2020).",
    order=60,
    needs=("features",),
)
def badge(pool: Pool, count: int) -> Integers:
    """The longest gradient first; then each by chance, as likely as its squared distance to the nearest chosen one."""
    gradients, random = Gradients.of(pool), pool.random
    squares = gradients.squares
    chosen, nearest = [int(squares.argmax())], np.full(len(pool), np.inf)
    left = np.ones(len(pool), dtype=bool)
    while len(chosen) < count:
        last = chosen[-1]
        left[last] = False
        distances = np.maximum(squares + squares[last] - 2 * gradients.products(last), 0.0)
        nearest = np.minimum(nearest, distances)
        likely = np.where(left, nearest, 0.0)
        if not likely.any():  # all that is left equals what was chosen
            likely = left.astype(np.float64)
        chosen.append(int(random.choice(len(pool), p=likely / likely.sum())))
    return np.array(chosen, dtype=np.int64)
