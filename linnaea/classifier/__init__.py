"""What answers: the classifier a run leaves behind, and the bundle it is kept in."""

from linnaea.classifier.classifier import Classifier, known_columns
from linnaea.classifier.loading import load

__all__ = ["Classifier", "known_columns", "load"]
