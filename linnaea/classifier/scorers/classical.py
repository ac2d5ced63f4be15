"""A classical pipeline as a scorer."""

from linnaea.classifier.scorers.contract import SCORERS, Scorer
from linnaea.classifier.scorers.torch_model import TorchScorer


@SCORERS.register("classical", title="Classical pipeline", meaning="A feature and a head, fitted parts kept as arrays.")
class ClassicalScorer(TorchScorer):
    """A pipeline that libraries of images compute and torch only carries: without gradients, on the processor.

    Its head may be anything but linear. It is exported where its feature can be written in plain operations.
    """

    kind = "classical"
    linear_head = gradients = False

    def to(self, device: str) -> "ClassicalScorer":
        """Itself; raises UsageError for any other device than the processor."""
        Scorer.to(self, device)
        return self
