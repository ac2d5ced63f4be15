"""Linnaea: a folder of images in, a classifier you can defend out.

Nothing heavy is imported before it is used: `import linnaea` loads neither torch nor numpy.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from linnaea.classifier import Classifier, load
    from linnaea.dataset import Dataset
    from linnaea.errors import LinnaeaError
    from linnaea.estimator import ImageClassifier
    from linnaea.finding import Estimate, Finding
    from linnaea.pipeline import (
        adapt_prior,
        audit,
        check_split,
        compare,
        convert,
        datasheet,
        diff,
        discover,
        evaluate,
        export,
        folds,
        grow,
        predict,
        preview,
        read,
        report,
        split,
        train,
    )
    from linnaea.predictions import Predictions
    from linnaea.run import Run

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
    **dict.fromkeys(
        ("audit", "compare", "evaluate", "export", "predict", "read", "report", "split", "train"), "linnaea.pipeline"
    ),
    **dict.fromkeys(
        ("adapt_prior", "check_split", "convert", "datasheet", "diff", "discover", "folds", "grow", "preview"),
        "linnaea.pipeline",
    ),
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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("linnaea")
    if name not in _HOMES:
        raise AttributeError(f"module 'linnaea' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
