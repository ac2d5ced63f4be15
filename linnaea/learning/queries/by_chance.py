"""Any images: what every other strategy is compared with."""

from linnaea.arrays import Integers
from linnaea.learning.queries.contract import QUERIES, Pool


@QUERIES.register("random", title="Random", meaning="Any images, each as likely as the next.", order=90)
def at_random(pool: Pool, count: int) -> Integers:
    """Rows in random order."""
    return pool.random.permutation(len(pool))[:count]
