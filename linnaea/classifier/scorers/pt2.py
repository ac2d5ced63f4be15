"""A whole classifier as a package of torch, run by torch without any of our code."""

from types import ModuleType
from typing import ClassVar

from linnaea.classifier.scorers.contract import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.classifier.sessions import pt2


@SCORERS.register("pt2", title="Package of torch", meaning="A whole classifier as torch packs it: machine code.")
class Pt2Scorer(WholeScorer):
    """What `linnaea export --to pt2` wrote; how many threads there are, torch knows already."""

    kind = "pt2"
    machine_code = True
    session: ClassVar[ModuleType] = pt2
    threads = 0
