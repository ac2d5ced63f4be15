"""What answers: the classifier a run leaves behind, and the bundle it is kept in."""

from linnaea.classifier.classifier import Answering, Classifier, known_columns, load

__all__ = ["Answering", "Classifier", "known_columns", "load"]
