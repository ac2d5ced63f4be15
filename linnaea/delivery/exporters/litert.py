"""LiteRT's file, formerly TensorFlow Lite, for phones and boards: converted and run in an environment of its own."""

import importlib.util
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.litert import LitertScorer
from linnaea.classifier.sessions.litert import FILES
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order, needs_a_network
from linnaea.delivery.exporters.graphs import converting
from linnaea.delivery.exporters.pt2 import folded


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `model.tflite` into `folder`: it takes one image (1, S, S, C) of uint8 at a time."""
    with converting("LiteRT"):  # whose own warnings are not passed on
        import litert_torch
    graph = folded(classifier.to("cpu"), torch.contiguous_format).graph()
    example = torch.zeros(1, *classifier.recipe.shape, dtype=torch.uint8)
    with converting("LiteRT"), redirect_stdout(StringIO()), torch.no_grad():  # on which it tells of its progress
        litert_torch.convert(graph, (example,)).export(str(folder / FILES[0]))
    return folder / FILES[0]


def unfit(classifier: Classifier) -> str:
    """Why LiteRT cannot have a classifier, or cannot be converted to here."""
    if importlib.util.find_spec("litert_torch") is None:
        return (
            "its converter, litert_torch, is not installed, and pip would put an older torch in place of this one: "
            "convert in an environment of its own, which `make litert` makes in .venv-litert."
        )
    return needs_a_network(classifier)


EXPORTERS.register(
    "litert",
    title="LiteRT",
    meaning="One file for phones and boards, formerly TensorFlow Lite; in an environment of its own: `make litert`.",
    order=70,
    cost="minutes",
    runtime="LiteRT",
    precisions=("fp32",),
    needs=("litert_torch", "ai_edge_litert"),
    extra="litert",
)(Exporter(write, LitertScorer, unfit=unfit))
