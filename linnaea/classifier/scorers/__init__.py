"""Scorers: from decoded images to raw scores, whatever made them: a torch model, a file of another runtime."""

from linnaea.classifier.scorers.contract import SCORERS, Scorer

__all__ = ["SCORERS", "Scorer"]
