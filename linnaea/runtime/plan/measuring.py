"""The fastest way to run a network here: measured once, then remembered; checked every time.

`torch.compile` is no candidate. To translate a network for 224 pixels took 13 to 107 seconds of a core, more than
measuring may take here or nearly so, for steps that were at best a third as fast again (MobileNetV3) and no faster at
all in the training of ViT-S; nothing is gained before two thousand images (`python -m benchmarks compiling`).
"""

import logging
import time
from dataclasses import replace
from typing import Any

import torch

from linnaea.errors import UsageError
from linnaea.runtime.machine import detect
from linnaea.runtime.plan.agreement import agreement, reference
from linnaea.runtime.plan.contract import Plan
from linnaea.runtime.plan.growing import grown
from linnaea.runtime.plan.remembered import recall, remember
from linnaea.runtime.plan.timing import Clock, race
from linnaea.runtime.plan.workload import Workload, candidates

VERSION = 1  # of what is measured and how: a plan of another version is not used
SECONDS = 15.0  # that measuring may take
WORTH_MEASURING = 256  # images
logger = logging.getLogger("linnaea")


def measure(
    device: str,
    workload: Workload,
    *,
    precision: str = "auto",
    memory_format: str = "auto",
    anew: bool = False,
    seconds: float = SECONDS,
    clock: Clock = time.perf_counter,
) -> Plan:
    """The plan that is fastest for the workload on this machine, of those whose answers agree with float32.

    A `precision` other than "auto" is taken as it is, with the `memory_format` given or channels_last; below 256 images
    nothing is measured either. What was measured is remembered for this network, image size, batch, device, machine,
    number of threads and version of torch, and measured again only if `anew`; that the answers agree is checked each
    time, since other weights may overflow. Batches that do not fit into memory are halved; where the workload lets them
    grow, they are doubled first for as long as that is faster. Takes about `seconds`;
    `clock` is for tests. Raises UsageError where the precision given cannot be used.
    """
    if workload.unfit and precision not in ("auto", "float32"):
        raise UsageError(f"{precision} {workload.unfit}: use --precision float32 or auto.")
    machine = detect()
    plans = candidates(machine, device, workload, precision, memory_format)
    if workload.most is not None:
        began, growth = clock(), _grown(workload, plans[0], anew, seconds / 2, clock)
        own = replace(workload, batch_size=growth.batch_size or workload.batch_size, most=None)
        left = max(0.0, seconds - (clock() - began))
        options: Any = {"precision": precision, "memory_format": memory_format, "anew": anew, "clock": clock}
        found = measure(device, own, seconds=left, **options)
        return replace(found, measured=(*growth.measured, *found.measured), notes=(*growth.notes, *found.notes))
    if len(plans) == 1 or (workload.images < WORTH_MEASURING and not anew):
        return workload.bounded(plans[0])
    key = _key(workload, plans[0], memory_format)
    known = None if anew else recall(key)
    if known is not None and _still_agrees(known, workload):
        return workload.bounded(replace(known, source="remembered"))
    found = race(workload, plans, seconds, clock)
    for note in found.notes:
        logger.warning(f"{workload.purpose}: {note}")
    if found.source == "measured":
        remember(key, found)
    return workload.bounded(found)


def _grown(workload: Workload, plan: Plan, anew: bool, seconds: float, clock: Clock) -> Plan:
    """The plan with the largest batch that is faster: the one that is remembered, or found now."""
    if workload.images < WORTH_MEASURING and not anew:
        few = f"Batches of {workload.batch_size} images: too few images are trained on to look for a faster size."
        return replace(plan, notes=(few,))
    key = _key(workload, plan, plan.memory_format) | {"most": workload.most, "precision": plan.precision}
    known = None if anew else recall(key)
    if known is not None:
        return known
    found = grown(workload, plan, seconds, clock)
    remember(key, found)
    return found


def _key(workload: Workload, plan: Plan, memory_format: str) -> dict[str, Any]:
    """What a plan depends on."""
    machine = detect()
    return {
        "version": VERSION,
        "machine": machine.fingerprint,
        "torch": machine.torch,
        "threads": torch.get_num_threads(),
        "device": plan.device,
        "network": workload.name,
        "shape": list(workload.shape),
        "purpose": workload.purpose,
        "batch_size": workload.batch_size,
        "memory_format": memory_format,
    }


def _still_agrees(plan: Plan, workload: Workload) -> bool:
    if plan.precision == "float32":
        return True
    small = replace(plan, batch_size=min(2, workload.batch_size))
    found = agreement(small, workload, workload.answers(reference(small)))
    if found.refusal:
        logger.warning(f"The remembered plan is measured again: {plan.precision} {found.refusal}.")
    return not found.refusal
