"""A run trained again: what calls for it, the new version of its data, the comparison, and whether it is promoted."""

from linnaea.experiments.retraining.carrying_out import Order, Retrained, retrain

__all__ = ["Order", "Retrained", "retrain"]
