"""ExecuTorch's program: one file for phones and boards, whose networks XNNPACK computes."""

from pathlib import Path

import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.executorch import ExecutorchScorer
from linnaea.classifier.sessions.executorch import FILES, MOST
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order
from linnaea.delivery.exporters.graphs import converting, program_of, quiet
from linnaea.delivery.exporters.pt2 import folded

DELEGATED = ("Addmm", "AvgPooling", "BatchNorm", "Convolution", "Hardswish", "Hardtanh", "Linear", "MaxPool2d", "ReLU")


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `model.pte` into `folder`: it takes images (N, S, S, C) of uint8, N up to 32 at once.

    What networks are made of is left to XNNPACK, the rest to ExecuTorch's own operators, which know every shape.
    """
    with quiet():
        from executorch.backends.xnnpack.partition import config
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower
    program = program_of(classifier, folded(classifier.to("cpu"), torch.contiguous_format).graph(), most=MOST)
    parts = XnnpackPartitioner(configs=[getattr(config, f"{name}Config") for name in DELEGATED])
    with converting("ExecuTorch"), quiet():
        lowered = to_edge_transform_and_lower(
            program, partitioner=[parts], compile_config=EdgeCompileConfig(_check_ir_validity=False)
        )
        content = lowered.to_executorch().buffer
    (folder / FILES[0]).write_bytes(content)
    return folder / FILES[0]


EXPORTERS.register(
    "executorch",
    title="ExecuTorch",
    meaning="One program for phones and boards, with a script that needs executorch and torch.",
    order=40,
    cost="minutes",
    runtime="ExecuTorch",
    precisions=("fp32",),
    needs=("executorch",),
    extra="mobile",
)(Exporter(write, ExecutorchScorer))
