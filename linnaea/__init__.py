"""Linnaea: a folder of images in, a classifier you can defend out.

Nothing heavy is imported before it is used: `import linnaea` loads neither torch nor numpy.
"""

from typing import TYPE_CHECKING, Any

from linnaea.runtime.lazily import lazily

if TYPE_CHECKING:
    __version__: str
    from linnaea.classifier import Classifier, load
    from linnaea.dataset import Dataset
    from linnaea.errors import LinnaeaError
    from linnaea.estimator import ImageClassifier
    from linnaea.finding import Estimate, Finding
    from linnaea.predictions import Predictions
    from linnaea.run import Run
    from linnaea.verbs.adapt_prior import adapt_prior
    from linnaea.verbs.audit import audit
    from linnaea.verbs.check_split import check_split
    from linnaea.verbs.compare import compare
    from linnaea.verbs.convert import convert
    from linnaea.verbs.datasheet import datasheet
    from linnaea.verbs.diff import diff
    from linnaea.verbs.discover import discover
    from linnaea.verbs.evaluate import evaluate
    from linnaea.verbs.export import export
    from linnaea.verbs.folds import folds
    from linnaea.verbs.grow import grow
    from linnaea.verbs.predict import predict
    from linnaea.verbs.preview import preview
    from linnaea.verbs.read import read
    from linnaea.verbs.report import report
    from linnaea.verbs.split import split
    from linnaea.verbs.train import train

_VERBS = (
    "adapt_prior",
    "audit",
    "check_split",
    "compare",
    "convert",
    "datasheet",
    "diff",
    "discover",
    "evaluate",
    "export",
    "folds",
    "grow",
    "predict",
    "preview",
    "read",
    "report",
    "split",
    "train",
)
_HOMES = {
    "Classifier": "linnaea.classifier",
    "Dataset": "linnaea.dataset",
    "Estimate": "linnaea.finding",
    "Finding": "linnaea.finding",
    "ImageClassifier": "linnaea.estimator",
    "LinnaeaError": "linnaea.errors",
    "Predictions": "linnaea.predictions",
    "Run": "linnaea.run",
    "load": "linnaea.classifier",
    **{verb: f"linnaea.verbs.{verb}" for verb in _VERBS},
}

__all__ = [
    "Classifier",
    "Dataset",
    "Estimate",
    "Finding",
    "ImageClassifier",
    "LinnaeaError",
    "Predictions",
    "Run",
    "adapt_prior",
    "audit",
    "check_split",
    "compare",
    "convert",
    "datasheet",
    "diff",
    "discover",
    "evaluate",
    "export",
    "folds",
    "grow",
    "load",
    "predict",
    "preview",
    "read",
    "report",
    "split",
    "train",
]


_member = lazily(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("linnaea")
    return _member(name)


def __dir__() -> list[str]:
    return __all__
