"""The execution plan: which formats are fastest on this machine for this network, measured, never assumed."""

from linnaea.runtime.machine import available_threads, has_bfloat16, prepare_processor
from linnaea.runtime.plan.contract import (
    DEVICES,
    MEMORY_FORMATS,
    PRECISIONS,
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
    "DEVICES",
    "MEMORY_FORMATS",
    "PRECISIONS",
    "SECONDS",
    "WORTH_MEASURING",
    "Plan",
    "Timing",
    "Workload",
    "available_threads",
    "has_bfloat16",
    "inference_bytes",
    "measure",
    "pick_device",
    "pick_memory_format",
    "pick_precision",
    "prepare_processor",
    "training_bytes",
]
