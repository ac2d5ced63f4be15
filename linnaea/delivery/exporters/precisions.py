"""Number formats that a model can be exported in, and how near its answers must then be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """A number format of weights and arithmetic: the share of images whose label must stay, the largest difference.

    The difference is that of probabilities and of OOD scores, the latter in terms of their size where that is above 1.
    """

    name: str
    same: float
    tolerance: float


PLAIN, INTEGERS = "fp32", "int8"
PRECISIONS = {
    each.name: each
    for each in (
        Precision(PLAIN, 1.0, 1e-4),
        Precision("bf16", 0.995, 0.1),
        Precision("fp16", 0.995, 0.05),
        Precision(INTEGERS, 0.97, 0.5),
    )
}
