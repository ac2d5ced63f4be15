"""Whether a plan gives the answers of float32: finite, and within a tolerance of them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from linnaea.runtime.plan.contract import Plan
from linnaea.runtime.plan.workload import Workload

TOLERANCES = {"float32": 0.01, "bfloat16": 0.2, "float16": 0.2}


@dataclass(frozen=True)
class Agreement:
    """How far outputs lie from those of float32 (None: not a number), and why they cannot be used, "" where they can.

    `refusal` is the end of a sentence that begins with the number format.
    """

    difference: float | None
    refusal: str = ""


def reference(plan: Plan) -> Plan:
    """The plan that others are compared with: float32 in contiguous memory, on the same device."""
    return Plan(plan.device, threads=plan.threads, memory_format="contiguous", batch_size=plan.batch_size)


def agreement(plan: Plan, workload: Workload, expected: Tensor) -> Agreement:
    """Compare the answers of a plan with those `expected` (n, ...), then try a step of it.

    They agree where the root mean square of the differences is at most 1 % of that of the spread of the outputs over
    the images, in reduced formats at most 20 %: then 96 % of their variance is as it was.
    """
    if workload.unfit and plan.precision != "float32":
        return Agreement(None, workload.unfit)
    try:
        outputs = workload.answers(plan)
        if not bool(torch.isfinite(outputs).all()):
            return Agreement(None, "gives NaN or infinity")
        wrong, most = difference(outputs, expected), TOLERANCES[plan.precision]
        if wrong > most:
            return Agreement(wrong, f"differs from float32 by {wrong:.2g} of the spread of the outputs, over {most:g}")
        return Agreement(wrong, "" if workload.step(plan) else "gives NaN or infinity in a step")
    except RuntimeError as error:  # an operation that is missing in this format, or no memory
        return Agreement(None, f"fails ({(str(error) or type(error).__name__).splitlines()[0]})")


def difference(outputs: Tensor, expected: Tensor) -> float:
    """Root mean square of the differences over that of the spread of what was expected (n, ...) over the images.

    Where all images give the same, over that of the outputs themselves.
    """
    wanted = expected.double()
    spread = float((wanted - wanted.mean(dim=0)).square().mean())
    scale = spread or float(wanted.square().mean()) or 1.0
    return math.sqrt(float((outputs.double() - wanted).square().mean()) / scale)
