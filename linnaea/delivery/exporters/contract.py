"""The contract of an exporter: a format that a classifier can be written in.

A member is one file. It is registered with what is known before anything is imported: `precisions` that it can have,
`runtime`, in words, that runs it, the packages it `needs` and the `extra` that brings them, and as `quantizer` those of
the extra `compress` that it needs for integers:

    EXPORTERS.register("onnx", title="ONNX", precisions=("fp32", "bf16"), runtime="onnxruntime",
                       needs=("onnx", "onnxruntime"), extra="export")(Exporter(write, OnnxScorer))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.whole import WholeScorer
from linnaea.decisions import Outputs
from linnaea.delivery.exporters.precisions import PLAIN, PRECISIONS, Precision
from linnaea.delivery.exporters.script import script_in
from linnaea.errors import UsageError
from linnaea.registry import Registry
from linnaea.runtime.arguments import require_export_precision

Description = Mapping[str, Any]  # what classifier.json says
Answer = Callable[[Path | bytes], Outputs]


class UnfitError(UsageError):
    """A format cannot have this classifier: the message is the reason, which names the operator or the kind."""


@dataclass(frozen=True)
class Order:
    """What is asked of a format: `precision`, and `calibration` images, of those learned from, for one that must see.

    `calibration()` gives decoded images (N, S, S, C) of uint8; None where there are none.
    """

    precision: str = PLAIN
    calibration: Callable[[], Images] | None = None


def needs_a_network(classifier: Classifier) -> str:
    """Why a format that is made of torch's graph cannot have a classifier; "" where it can."""
    return classifier.scorer.unexportable


def here() -> str:
    """Why a format cannot be run on this machine: it can."""
    return ""


def by_script(folder: Path, description: Description) -> Answer:
    """Answer by the `predict.py` of a folder, as its user will."""
    answer: Answer = script_in(folder).Predictor(folder, description).outputs
    return answer


@dataclass(frozen=True)
class Exporter:
    """`write(classifier, folder, order)` writes the model's files into an empty folder and returns the main one.

    `scorer` is the kind of scorer that the files are, with which the folder is a classifier again and has a script
    (None: it is something else, such as a page); `unfit(classifier)` says why the format cannot have it, "" where it
    can, and `elsewhere()` why it cannot be run on this machine, "" where it can. `open(folder, description)` gives what
    answers for an image file, or its bytes, by the decoding and the runtime that will be used where the folder goes,
    not by Linnaea's; `description` is what `classifier.json` will say.
    """

    write: Callable[[Classifier, Path, Order], Path]
    scorer: type[WholeScorer] | None = None
    unfit: Callable[[Classifier], str] = needs_a_network
    elsewhere: Callable[[], str] = here
    open: Callable[[Path, Description], Answer] = by_script


EXPORTERS: Registry[Exporter] = Registry(
    "export format",
    "linnaea.delivery.exporters",
    title="Exporters",
    use="Chosen with `linnaea export --to`.",
)


def precisions_of(to: str) -> tuple[str, ...]:
    """The precisions that a format can have."""
    told = EXPORTERS.about(to).capabilities.get("precisions", (PLAIN,))
    assert isinstance(told, tuple), f"export format {to}: precisions is a tuple of names"
    return told


def require_precision(to: str, precision: str) -> Precision:
    """The precision of this name; raises UsageError where the format cannot have it."""
    if precision not in PRECISIONS:
        raise UsageError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}.")
    require_export_precision(to, precision, {name: EXPORTERS.about(name).capabilities for name in EXPORTERS})
    return PRECISIONS[precision]
