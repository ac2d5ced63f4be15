"""A package of torch: machine code made by AOTInductor where there is a compiler, else torch's exported program."""

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from linnaea.classifier import Classifier
from linnaea.classifier.graph import Answering
from linnaea.classifier.scorers.pt2 import Pt2Scorer
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.classifier.sessions.pt2 import FILES, is_compiled
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order
from linnaea.delivery.exporters.graphs import converting, program_of
from linnaea.delivery.exporters.precisions import PLAIN
from linnaea.models import Model
from linnaea.models.folding import fold
from linnaea.models.model import to_pixels

logger = logging.getLogger("linnaea")
COMPILERS = ("g++", "clang++", "c++", "cl")
SETTINGS: Mapping[str, Any] = {"cpp.dynamic_threads": True}  # as many as there are where it runs


class InBfloat16(nn.Module):
    """As `Answering`, where features are computed in bfloat16, as `Classifier.predict` does with that precision."""

    def __init__(self, answering: Answering) -> None:
        super().__init__()
        self.model, self.judging = answering.model, answering.judging

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, S, S, C) of uint8 to what `Answering` gives."""
        with torch.autocast("cpu", torch.bfloat16):
            features = self.model.features(to_pixels(images))
        features = features.float()
        uncertainty = self.model.uncertainty(features)
        answers: tuple[Tensor, ...] = self.judging(features, self.model.head(features), uncertainty)
        return answers if uncertainty is None else (*answers, uncertainty)


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `model.pt2` into `folder`: it takes images (N, S, S, C) of uint8, of any N."""
    from torch._inductor import aoti_compile_and_package

    answering = folded(classifier.to("cpu")).graph()
    graph = answering if order.precision == PLAIN else InBfloat16(answering).eval()
    program, file = program_of(classifier, graph), folder / FILES[0]
    with torch.no_grad(), converting("AOTInductor"):
        if has_compiler():
            aoti_compile_and_package(program, package_path=str(file), inductor_configs=dict(SETTINGS))
        else:
            logger.warning(
                "There is no C++ compiler on this machine: model.pt2 is a program that torch interprets, not machine "
                "code, and answers more slowly."
            )
            save_program(program, file)
    is_compiled(str(file))  # which refuses pickles
    return file


def save_program(program: ExportedProgram, file: Path) -> None:
    """Write an exported program without its example, which would be pickled."""
    program._example_inputs = None
    torch.export.save(program, file)


def has_compiler(usual: Sequence[str] = COMPILERS) -> bool:
    """Whether there is a C++ compiler, by the name that CXX gives or a usual one."""
    given = os.environ.get("CXX")
    return any(shutil.which(name) for name in ([given] if given else usual))


def folded(classifier: Classifier, layout: torch.memory_format = torch.channels_last) -> Classifier:
    """The same with fewer passes over memory, laid out as its convolutions like it."""
    model: Model = fold(classifier.model, classifier.recipe.size).to(memory_format=layout)
    return classifier.with_(scorer=scorer_of(model))


EXPORTERS.register(
    "pt2",
    title="Package of torch",
    meaning="Machine code for processors like this one, made by AOTInductor, with a script that needs only torch.",
    order=30,
    cost="minutes",
    runtime="torch",
    precisions=("fp32", "bf16"),
    needs=(),
    extra="export",
)(Exporter(write, Pt2Scorer))
