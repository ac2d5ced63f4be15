"""A whole classifier as a LiteRT file, run by its interpreter."""

from types import ModuleType
from typing import ClassVar

from linnaea.classifier.scorers.contract import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.classifier.sessions import litert


@SCORERS.register(
    "litert", title="LiteRT file", meaning="A whole classifier as one file for LiteRT, run by its interpreter."
)
class LitertScorer(WholeScorer):
    """What `linnaea export --to litert` wrote."""

    kind = "litert"
    session: ClassVar[ModuleType] = litert
    extra = "litert"
