"""Number formats that a model can be exported in, and how near its answers must then be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """A number format of weights and arithmetic: the share of images whose label must stay, the largest difference.

    `tolerance` is that of probabilities; `of_scores` that of OOD scores, in terms of their size where that is above 1,
    which is larger: they divide by how much features vary within a class, and enlarge what rounding does to them.
    """

    name: str
    same: float
    tolerance: float
    of_scores: float


PLAIN, INTEGERS = "fp32", "int8"
PRECISIONS = {
    each.name: each
    for each in (
        Precision(PLAIN, 1.0, 1e-4, 1e-3),
        Precision("bf16", 0.995, 0.1, 0.1),
        Precision("fp16", 0.995, 0.05, 0.05),
        Precision(INTEGERS, 0.97, 0.5, 0.5),
    )
}
