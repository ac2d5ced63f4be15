"""A network that another runtime computes as a scorer."""

import torch

from linnaea.classifier.scorers.contract import SCORERS, Scorer
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.models import Model


@SCORERS.register("compiled", title="Compiled network", meaning="A network in the format of another runtime.")
class CompiledScorer(TorchScorer):
    """Features that onnxruntime or OpenVINO computes, on the processor and without gradients, and a linear head."""

    kind = "compiled"
    gradients = False

    def to(self, device: str) -> "CompiledScorer":
        """Itself; raises UsageError for any other device than the processor."""
        Scorer.to(self, device)
        return self

    def _graph(self, side: int, layout: torch.memory_format) -> Model:
        return self.model
