"""A whole classifier as an ExecuTorch program, run by ExecuTorch."""

from types import ModuleType
from typing import ClassVar

from linnaea.classifier.scorers.contract import SCORERS
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.classifier.sessions import executorch


@SCORERS.register(
    "executorch",
    title="ExecuTorch program",
    meaning="A whole classifier as a program of ExecuTorch, for phones and boards.",
)
class ExecutorchScorer(WholeScorer):
    """What `linnaea export --to executorch` wrote."""

    kind = "executorch"
    session: ClassVar[ModuleType] = executorch
    extra = "mobile"
