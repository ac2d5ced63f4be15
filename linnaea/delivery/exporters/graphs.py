"""A classifier's graph in the forms that other runtimes begin with: torch's exported program, and ONNX."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.whole import OF_MEMBERS, OUTPUTS
from linnaea.decisions import by_common_threshold
from linnaea.delivery.exporters.contract import UnfitError
from linnaea.models.ensembles import Mixture

OPSET = 18
INPUT = "images"
EXAMPLES = 2  # images, of a batch whose size is free
TOLD = ("classes", "task", "recipe", "familiarity", "policy", "provenance")


def outputs_of(classifier: Classifier) -> list[str]:
    """The names of what its graph gives, in order."""
    return [*OUTPUTS, *([OF_MEMBERS] if isinstance(classifier.model, Mixture) else [])]


def facts_of(classifier: Classifier) -> dict[str, str]:
    """What a file of a model carries of its classifier, each as JSON."""
    description = classifier.describe()
    facts = {key: json.dumps(description[key]) for key in TOLD}
    said = by_common_threshold(classifier.policy)
    return facts | ({"warning": json.dumps(said)} if said else {})


def program_of(classifier: Classifier, graph: nn.Module | None = None, *, most: int | None = None) -> ExportedProgram:
    """Images (N, S, S, C) of uint8, of any N, to raw scores, logits, probabilities and OOD scores, as torch exports it.

    `graph` is another module that does this, None the classifier's own; `most` images are at once at the most. Raises
    UnfitError, which names the operator, where torch cannot.
    """
    module = classifier.to("cpu").graph() if graph is None else graph
    with converting("torch.export"), torch.no_grad():
        program = torch.export.export(module, (_example(classifier),), dynamic_shapes=_free(most))
    return program  # noqa: RET504  mypy takes contexts for ones that swallow errors


def onnx_of(classifier: Classifier) -> Any:
    """The same as an ONNX model, with what is known of the classifier in its metadata; raises UnfitError."""
    import onnx

    with converting("ONNX"):
        program = torch.onnx.export(
            classifier.to("cpu").graph(),
            (_example(classifier),),
            dynamo=True,
            input_names=[INPUT],
            output_names=outputs_of(classifier),
            dynamic_shapes=_free(),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = described(program.model_proto, classifier)
    onnx.checker.check_model(model)
    return model


def described(model: Any, classifier: Classifier) -> Any:
    """An ONNX model with what is known of the classifier in its metadata."""
    for key, value in facts_of(classifier).items():
        model.metadata_props.add(key=f"linnaea.{key}", value=value)
    return model


@contextmanager
def converting(what: str) -> Iterator[None]:
    """Converters' own warnings are not passed on, as parity judges the outcome; their errors become UnfitError."""
    with warnings.catch_warnings(action="ignore"):
        try:
            yield
        except (ImportError, OSError, MemoryError):
            raise
        except Exception as error:
            raise UnfitError(f"{what} cannot express this classifier: {_first_words(error)}") from error


@contextmanager
def quiet(level: int = logging.WARNING) -> Iterator[None]:
    """What converters warn of, and log up to a level, of their own business is not passed on."""
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _example(classifier: Classifier) -> torch.Tensor:
    return torch.zeros(EXAMPLES, *classifier.recipe.shape, dtype=torch.uint8)


def _free(most: int | None = None) -> tuple[dict[int, Any]]:
    return ({0: Dim(INPUT, min=1, max=most)},)


def _first_words(error: Exception) -> str:
    """What a converter tripped over, which is at the root, in one line."""
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    told = " ".join(str(root).split()) or type(root).__name__
    return told if len(told) <= 300 else f"{told[:300]}..."
