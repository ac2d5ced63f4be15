"""The pipeline: the whole way from a folder of images to a classifier with its evidence, stage by stage."""

from linnaea.data.sources import read
from linnaea.pipeline.training import train
from linnaea.pipeline.verbs import audit, compare, evaluate, export, predict, report, split

__all__ = ["audit", "compare", "evaluate", "export", "predict", "read", "report", "split", "train"]
