"""A whole classifier as OpenVINO's representation, run by OpenVINO."""

from types import ModuleType
from typing import ClassVar

from linnaea.classifier.scorers.contract import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.classifier.sessions import openvino


@SCORERS.register("openvino", title="OpenVINO files", meaning="A whole classifier as two files, run by OpenVINO.")
class OpenvinoScorer(WholeScorer):
    """What `linnaea export --to openvino` wrote."""

    kind = "openvino"
    session: ClassVar[ModuleType] = openvino
