"""The pipeline: the whole way from a folder of images to a classifier with its evidence, stage by stage."""

from typing import TYPE_CHECKING

from linnaea.runtime.lazily import lazily

if TYPE_CHECKING:
    from linnaea.data.sources import read
    from linnaea.pipeline.adaptation import adapt_prior
    from linnaea.pipeline.answering import export, predict
    from linnaea.pipeline.auditing import audit
    from linnaea.pipeline.conversion import convert
    from linnaea.pipeline.describing import datasheet, diff
    from linnaea.pipeline.discovering import discover
    from linnaea.pipeline.evaluating import evaluate
    from linnaea.pipeline.finished import compare, report
    from linnaea.pipeline.growing import grow
    from linnaea.pipeline.previewing import preview
    from linnaea.pipeline.splitting import check_split, folds, leaks_in, split
    from linnaea.pipeline.training import train

_HOMES = {
    "adapt_prior": "linnaea.pipeline.adaptation",
    "audit": "linnaea.pipeline.auditing",
    "check_split": "linnaea.pipeline.splitting",
    "compare": "linnaea.pipeline.finished",
    "convert": "linnaea.pipeline.conversion",
    "datasheet": "linnaea.pipeline.describing",
    "diff": "linnaea.pipeline.describing",
    "discover": "linnaea.pipeline.discovering",
    "evaluate": "linnaea.pipeline.evaluating",
    "export": "linnaea.pipeline.answering",
    "folds": "linnaea.pipeline.splitting",
    "grow": "linnaea.pipeline.growing",
    "leaks_in": "linnaea.pipeline.splitting",
    "predict": "linnaea.pipeline.answering",
    "preview": "linnaea.pipeline.previewing",
    "read": "linnaea.data.sources",
    "report": "linnaea.pipeline.finished",
    "split": "linnaea.pipeline.splitting",
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
