"""Several processes that train one network together.

The first one, rank 0, does the whole run: it reads, decodes, decides, judges, tells and writes. Where it trains a
network, it calls the others, who wait for nothing else, to call the same function with the same arguments
(`together`). Within that, all do the same, each with its own part of every batch.
"""

from linnaea.learning.processes.party import (
    LostError,
    Party,
    agreed,
    all_of_them,
    current,
    first_before_others,
    joined,
    shared,
    strategy,
    together,
)

__all__ = [
    "LostError",
    "Party",
    "agreed",
    "all_of_them",
    "current",
    "first_before_others",
    "joined",
    "shared",
    "strategy",
    "together",
]
