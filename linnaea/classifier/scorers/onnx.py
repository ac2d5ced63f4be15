"""A whole classifier as an ONNX file, run by onnxruntime."""

from types import ModuleType
from typing import ClassVar

from linnaea.classifier.scorers.contract import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.classifier.sessions import onnx


@SCORERS.register("onnx", title="ONNX file", meaning="A whole classifier as one ONNX file, run by onnxruntime.")
class OnnxScorer(WholeScorer):
    """What `linnaea export --to onnx` wrote."""

    kind = "onnx"
    session: ClassVar[ModuleType] = onnx
    together = True
