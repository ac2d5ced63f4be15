"""Scorers: from decoded images to raw scores, whatever made them: a torch model, a file of another runtime."""

from linnaea.classifier.scorers import onnx, torch_model
from linnaea.classifier.scorers.contract import SCORERS, Scorer

__all__ = ["SCORERS", "Scorer", "onnx", "torch_model"]
