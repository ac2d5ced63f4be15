"""The execution plan: which formats are fastest on this machine for this network, measured, never assumed."""

from linnaea.runtime.plan.contract import (
    Plan,
    Timing,
    pick_device,
    pick_memory_format,
    pick_precision,
)
from linnaea.runtime.plan.measuring import SECONDS, WORTH_MEASURING, measure
from linnaea.runtime.plan.memory import inference_bytes, training_bytes
from linnaea.runtime.plan.workload import Workload

__all__ = [
    "SECONDS",
    "WORTH_MEASURING",
    "Plan",
    "Timing",
    "Workload",
    "inference_bytes",
    "measure",
    "pick_device",
    "pick_memory_format",
    "pick_precision",
    "training_bytes",
]
