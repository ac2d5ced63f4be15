"""The pipeline: the whole way from a folder of images to a classifier with its evidence, stage by stage."""

from typing import TYPE_CHECKING

from linnaea.runtime.lazily import lazily

if TYPE_CHECKING:
    from linnaea.data.sources import read
    from linnaea.pipeline.adaptation import adapt_prior
    from linnaea.pipeline.auditing import audit
    from linnaea.pipeline.conversion import convert
    from linnaea.pipeline.datasets import check_split, datasheet, diff, folds, leaks_in, split
    from linnaea.pipeline.discovering import discover
    from linnaea.pipeline.growing import grow
    from linnaea.pipeline.previewing import preview
    from linnaea.pipeline.training import train
    from linnaea.pipeline.verbs import compare, evaluate, export, predict, report

_HOMES = {
    "adapt_prior": "linnaea.pipeline.adaptation",
    "audit": "linnaea.pipeline.auditing",
    "check_split": "linnaea.pipeline.datasets",
    "compare": "linnaea.pipeline.verbs",
    "convert": "linnaea.pipeline.conversion",
    "datasheet": "linnaea.pipeline.datasets",
    "diff": "linnaea.pipeline.datasets",
    "discover": "linnaea.pipeline.discovering",
    "evaluate": "linnaea.pipeline.verbs",
    "export": "linnaea.pipeline.verbs",
    "folds": "linnaea.pipeline.datasets",
    "grow": "linnaea.pipeline.growing",
    "leaks_in": "linnaea.pipeline.datasets",
    "predict": "linnaea.pipeline.verbs",
    "preview": "linnaea.pipeline.previewing",
    "read": "linnaea.data.sources",
    "report": "linnaea.pipeline.verbs",
    "split": "linnaea.pipeline.datasets",
    "train": "linnaea.pipeline.training",
}

__all__ = [
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
    "leaks_in",
    "predict",
    "preview",
    "read",
    "report",
    "split",
    "train",
]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
