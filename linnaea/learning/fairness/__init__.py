"""Fairness: what keeps a training from learning some groups of images at the cost of others.

A method weighs images by their groups, weighs groups by their loss, or sets a threshold for each group. Add one by
registering it in `FAIRNESS`.
"""

from linnaea.learning.fairness.contract import FAIRNESS, WAYS, Fair

__all__ = ["FAIRNESS", "WAYS", "Fair"]
