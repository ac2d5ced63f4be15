"""Heads of classical pipelines: support vector machines, forests, boosting, neighbours, logistic regression."""

from linnaea.models.classical.heads.contract import HEADS, Head, Samples

__all__ = ["HEADS", "Head", "Samples"]
