"""Optimizers by name: how gradients become steps.

The number after a name is its weight decay, which norms, biases and other vectors are spared.
"""

from linnaea.learning.optimizers.contract import BATCHES, OPTIMIZERS, Groups, make_optimizer, usual_rate, usual_schedule

__all__ = ["BATCHES", "OPTIMIZERS", "Groups", "make_optimizer", "usual_rate", "usual_schedule"]
