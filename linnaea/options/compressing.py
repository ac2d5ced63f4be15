"""How a classifier is made smaller or faster, and what that may cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.options.words import names_in
from linnaea.runtime.arguments import require_count
from linnaea.runtime.target import parse_target

BITS = (4, 8, 16)
BACKENDS = ("openvino", "onnx", "torch")
MATCHES = ("logits", "features")


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Compressing(Options):
    """How, and what that may cost.

    `method` names the methods, in the order in which they are applied. `max_drop` is what the task's metric may lose on
    val, in points; `target` what must come of it, a time for one image ("5ms") or a size ("2MB"). `bits` are those of
    a number after quantisation, `backend` the runtime that computes with them ("torch": weights are kept small and
    computed with as ever; None: openvino of eight bits, torch of others). `student` is the network that is taught, by
    its name or a file of its weights, and `match` what of its teacher it learns; `trials` are the networks that a
    search looks at.
    """

    title = "Compressing"

    method: Annotated[
        Sequence[str],
        Option(
            "How, separated by commas and in this order: {names}.",
            checks.member("compressor", "linnaea.delivery.compression"),
            names=checks.names("compressor", "linnaea.delivery.compression"),
            read=names_in,
        ),
    ] = ("quantize",)
    max_drop: Annotated[
        float, Option("Points of the task's metric that may be lost on val.", checks.between(0, 100, 0.5))
    ] = 0.5
    target: Annotated[
        str | None,
        Option(
            "What must come of it: a time for one image, such as 5ms, or a size, such as 2MB. Default: nothing.",
            checks.readable_by(parse_target),
        ),
    ] = None
    bits: Annotated[int, Option("Bits of a number after quantisation: 4, 8 or 16.", checks.one_of_numbers(*BITS))] = 8
    backend: Annotated[
        str | None,
        Option(
            "What computes with integers: openvino, onnx, or torch, which only keeps weights small. Default: openvino "
            "of eight bits, else torch.",
            checks.one_of(*BACKENDS),
        ),
    ] = None
    student: Annotated[
        str | None,
        Option(
            "Network that is taught by distill: its name, or a file of pretrained weights. Default: one of about a "
            "fifth of the size."
        ),
    ] = None
    match: Annotated[
        str, Option("What a student learns of its teacher: logits or features.", checks.one_of(*MATCHES))
    ] = "logits"
    trials: Annotated[int, Option("Networks that a search looks at.", require_count)] = 12
