"""Losses: what a training or the fit of a head makes small, other than the task's usual cross-entropy.

A loss is registered in `LOSSES` with the tasks it is for; it makes a function of logits and targets to the loss of each
image, so that heads and the training loop use the same one.
"""

from linnaea.learning.losses import tree
from linnaea.learning.losses.loss import LOSSES, Loss, with_loss

__all__ = ["LOSSES", "Loss", "tree", "with_loss"]
