"""Quantisation: a network that keeps, or computes with, numbers of few bits."""

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.delivery.compression.contract import COMPRESSORS, Compressed, Compressor, Wanted, Workshop
from linnaea.delivery.compression.rounding import require_rounding, rounded


def require(classifier: Classifier, wanted: Wanted) -> None:
    """Raise MissingExtraError where a library is not there."""
    require_rounding(wanted.bits)


def quantize(classifier: Classifier, workshop: Workshop) -> Compressed:
    """The classifier with weights of few bits."""
    model = rounded(classifier.model, workshop.wanted.bits)
    note = f"Weights are kept as {model.bits}; the network computes in float32, as fast as before."
    return Compressed(classifier.with_(scorer=scorer_of(model)), [note], {"bits": model.bits})


COMPRESSORS.register(
    "quantize",
    title="Quantisation",
    meaning="Numbers of few bits, without further training.",
    cost="minutes",
    takes=("torch",),
    trains=False,
    last=True,
)(Compressor(quantize, require))
