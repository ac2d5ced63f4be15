"""Losses: what a training, or the fit of a head, makes small; one family for every task.

A loss maps logits and targets to the loss of each image. It is registered in `LOSSES` with the tasks it is for and is
called wherever it was asked for, by the training loop and by heads alike.
"""

from linnaea.learning.losses.contract import LOSSES, Context, Loss, is_for, require_loss, usual_loss
from linnaea.learning.losses.criterion import Criterion, criterion_for

__all__ = ["LOSSES", "Context", "Criterion", "Loss", "criterion_for", "is_for", "require_loss", "usual_loss"]
