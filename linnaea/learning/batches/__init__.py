"""Where the batches of an epoch come from.

A source of batches may decode at its own size, stream, or give several crops of an image: the loop hands each batch on
to the objective as it is, on the device.
"""

from linnaea.learning.batches.contract import Batches, Epoch
from linnaea.learning.batches.in_memory import InMemory

__all__ = ["Batches", "Epoch", "InMemory"]
