"""A whole classifier as an engine for NVIDIA GPUs, run by TensorRT."""

from types import ModuleType
from typing import ClassVar

from linnaea.classifier.scorers.contract import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.classifier.sessions import tensorrt


@SCORERS.register("tensorrt", title="TensorRT engine", meaning="A whole classifier as an engine for NVIDIA GPUs.")
class TensorrtScorer(WholeScorer):
    """What `linnaea export --to tensorrt` wrote."""

    kind = "tensorrt"
    session: ClassVar[ModuleType] = tensorrt
    extra = "tensorrt"
    machine_code = True
