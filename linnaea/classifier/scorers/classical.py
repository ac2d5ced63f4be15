"""A classical pipeline as a scorer."""

from linnaea.classifier.scorers.contract import SCORERS, Scorer
from linnaea.classifier.scorers.torch_model import TorchScorer


@SCORERS.register("classical", title="Classical pipeline", meaning="A feature and a head, fitted parts kept as arrays.")
class ClassicalScorer(TorchScorer):
    """A pipeline that libraries of images compute and torch only carries: without gradients, on the processor.

    Its head may be anything but linear, and no other runtime has its features, so that it cannot be exported.
    """

    kind = "classical"
    linear_head = gradients = exportable = False

    def to(self, device: str) -> "ClassicalScorer":
        """Itself; raises UsageError for any other device than the processor."""
        Scorer.to(self, device)
        return self
