"""A whole classifier as machine code, run by Apache TVM."""

from types import ModuleType
from typing import ClassVar

from linnaea.classifier.scorers.contract import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.classifier.sessions import tvm


@SCORERS.register("tvm", title="TVM library", meaning="A whole classifier as machine code that TVM made.")
class TvmScorer(WholeScorer):
    """What `linnaea export --to tvm` wrote."""

    kind = "tvm"
    session: ClassVar[ModuleType] = tvm
    extra = "tvm"
    machine_code = True
