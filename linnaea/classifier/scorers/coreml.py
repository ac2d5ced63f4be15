"""A whole classifier as a Core ML package, run by macOS."""

from types import ModuleType
from typing import ClassVar

from linnaea.classifier.scorers.contract import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.classifier.sessions import coreml


@SCORERS.register("coreml", title="Core ML package", meaning="A whole classifier as a Core ML package, run by macOS.")
class CoremlScorer(WholeScorer):
    """What `linnaea export --to coreml` wrote."""

    kind = "coreml"
    session: ClassVar[ModuleType] = coreml
    extra = "mobile"
