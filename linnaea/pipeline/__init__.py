"""The pipeline: the whole way from a folder of images to a classifier with its evidence, stage by stage."""

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
