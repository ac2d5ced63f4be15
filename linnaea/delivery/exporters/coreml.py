"""Core ML's package, for iPhones, iPads and Macs: converted anywhere, run on macOS alone."""

import logging
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.coreml import CoremlScorer
from linnaea.classifier.sessions.coreml import FILES
from linnaea.delivery.exporters.contract import EXPORTERS, Exporter, Order, UnfitError
from linnaea.delivery.exporters.graphs import INPUT, converting, facts_of, outputs_of, quiet
from linnaea.delivery.exporters.precisions import PLAIN
from linnaea.delivery.exporters.pt2 import folded
from linnaea.runtime.files import write_json

PROGRAM = "program.json"


def write(classifier: Classifier, folder: Path, order: Order) -> Path:
    """Write `model.mlpackage.zip` and what its program was found to hold, `program.json`, into `folder`.

    It takes one image (1, S, S, C) at a time, as numbers from 0 to 255; what is known of the classifier lies in its
    metadata. Raises UnfitError where the program has other inputs or outputs than it was to have.
    """
    model = _converted(classifier, order)
    for key, value in facts_of(classifier).items():
        model.user_defined_metadata[f"linnaea.{key}"] = value
    write_json(folder / PROGRAM, checked(model.get_spec(), classifier))
    with tempfile.TemporaryDirectory() as place:
        model.save(str(Path(place) / "model.mlpackage"))
        made = shutil.make_archive(str(Path(place) / "packed"), "zip", place, "model.mlpackage")
        shutil.move(made, folder / FILES[0])
    return folder / FILES[0]


def _converted(classifier: Classifier, order: Order) -> Any:
    with _quiet():
        import coremltools
    graph = _Apart(folded(classifier.to("cpu"), torch.contiguous_format).graph())
    example = torch.zeros(1, *classifier.recipe.shape)
    precision = coremltools.precision.FLOAT32 if order.precision == PLAIN else coremltools.precision.FLOAT16
    with converting("Core ML"), _quiet(), torch.no_grad():
        traced = torch.jit.trace(graph, example, check_trace=False)  # type: ignore[no-untyped-call]
        return coremltools.convert(
            traced,
            convert_to="mlprogram",
            inputs=[coremltools.TensorType(INPUT, shape=tuple(example.shape))],
            outputs=[coremltools.TensorType(name) for name in outputs_of(classifier)],
            compute_precision=precision,
            minimum_deployment_target=coremltools.target.iOS17,
            skip_model_load=True,
        )


class _Apart(torch.nn.Module):
    """The same outputs, of which the first is its own: where logits are the raw scores, one would be lost."""

    def __init__(self, graph: torch.nn.Module) -> None:
        super().__init__()
        self.whole = graph

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raw, *others = self.whole(images)
        return raw.clamp(min=-torch.finfo(raw.dtype).max), *others


def checked(spec: Any, classifier: Classifier) -> Mapping[str, Any]:
    """The inputs, outputs and operators of a program; raises UnfitError unless they are what was to be converted."""
    described = spec.description
    given = {each.name: [int(side) for side in each.type.multiArrayType.shape] for each in described.input}
    wanted = {INPUT: [1, *classifier.recipe.shape]}
    outputs = [each.name for each in described.output]
    if given != wanted or sorted(outputs) != sorted(outputs_of(classifier)):
        raise UnfitError(
            f"Core ML's program takes {given} and gives {', '.join(outputs)}; expected {wanted} and "
            f"{', '.join(outputs_of(classifier))}."
        )
    operators = Counter(
        operation.type
        for function in spec.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for operation in block.operations
        if operation.type != "const"
    )
    if not operators:
        raise UnfitError("Core ML's program holds no operator: the converter made nothing of the classifier.")
    return {"inputs": given, "outputs": outputs, "operators": dict(sorted(operators.items()))}


def elsewhere() -> str:
    """Why it cannot be run here."""
    if platform.system() == "Darwin":
        return ""
    return f"Core ML runs on macOS and iOS alone; its program was checked instead, see {PROGRAM}."


@contextmanager
def _quiet() -> Iterator[None]:
    """Its bars, and what coremltools logs of libraries and of versions that it has not seen, are not passed on."""
    with redirect_stderr(StringIO()), quiet(logging.ERROR):
        yield


EXPORTERS.register(
    "coreml",
    title="Core ML",
    meaning="A package for iPhones, iPads and Macs, converted anywhere and run on macOS alone.",
    order=50,
    cost="minutes",
    runtime="Core ML",
    precisions=("fp32", "fp16"),
    needs=("coremltools",),
    extra="mobile",
)(Exporter(write, CoremlScorer, elsewhere=elsewhere))
