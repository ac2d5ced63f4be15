"""The fastest way to run a network here: a few real steps of each candidate, timed in turn, their outputs compared.

`torch.compile` is no candidate: for a network of 224 pixels it took one to three minutes of a core to translate, many
times the seconds that measuring may take here, for steps 1.3 to 1.5 times as fast at best, and nothing is gained before
some 20,000 images (`python -m benchmarks execution_plan`).
"""

import logging
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from linnaea.runtime.machine import Machine, detect
from linnaea.runtime.plan.contract import MEMORY_FORMATS, Plan, Timing
from linnaea.runtime.plan.memory import bounded_batch, usable_memory
from linnaea.runtime.plan.remembered import recall, remember

VERSION = 1  # of what is measured and how: a plan of another version is not used
SECONDS = 15.0  # that measuring may take
SHARE = 0.25  # of the images to come, at most, are worked on for measuring
WORTH_MEASURING = 256  # images
ROUNDS = 5
FEWEST = 2  # images in a step
TOLERANCES = {"float32": 0.01, "bfloat16": 0.2, "float16": 0.2}
MARGIN = 1.05  # times faster than a plan nearer to float32 in channels_last, or that one is taken
HOPELESS = 1.5  # times slower than the fastest after one step
GROWTH = 4  # times as many images per batch, tried on accelerators as long as it pays
COST = {"embed": 1, "train": 3}  # of a step, in forward passes
logger = logging.getLogger("linnaea")
Clock = Callable[[], float]


@dataclass(frozen=True)
class Workload:
    """What is to be run: `images` pictures through the network `name`, in batches of at most `batch_size`.

    `purpose` is "embed" or "train"; `shape` that of a picture. `step` does real work on a batch of `plan.batch_size`
    images and says whether all it made is finite; `answers` gives the outputs (n, ...) for a few pictures, always the
    same. An image takes `image_bytes` of memory, the network `fixed_bytes`.
    """

    name: str
    purpose: str
    shape: tuple[int, ...]
    images: int
    batch_size: int
    step: Callable[[Plan], bool]
    answers: Callable[[Plan], Tensor]
    image_bytes: float = 0.0
    fixed_bytes: float = 0.0


def measure(
    device: str,
    workload: Workload,
    *,
    precision: str = "auto",
    memory_format: str = "auto",
    batch_given: bool = False,
    anew: bool = False,
    seconds: float = SECONDS,
    clock: Clock = time.perf_counter,
) -> Plan:
    """The plan that was fastest for the workload on this machine, of those whose outputs agree with float32.

    Outputs agree where the root mean square of the differences from float32 in contiguous memory is at most 1 % of that
    of their spread over the pictures, in reduced formats at most 20 %, which leaves 96 % of the variance as it was.
    A `precision` other than "auto" is taken as it is, with the `memory_format` given (channels_last): nothing is
    measured. What was measured is remembered, and not measured again unless `anew`; the outputs of a remembered plan
    are compared again, since other weights may be less patient. Batches that do not fit into memory are halved, or
    named in a note where the number was given by hand (`batch_given`). Takes about `seconds`; `clock` is for tests.
    """
    machine = detect()
    plans = candidates(machine, device, workload, precision, memory_format)
    plans = [_bounded(plan, workload, batch_given) for plan in plans]
    if len(plans) == 1 or (workload.images < WORTH_MEASURING and not anew):
        return plans[0]
    key = _key(machine, plans[0], workload, precision, memory_format)
    known = None if anew else recall(key)
    if known is not None:
        known = _bounded(replace(known, source="remembered"), workload, batch_given)
        refusal = _refusal(known, workload)
        if not refusal:
            return known
        logger.info(f"The remembered plan is not used: {known.precision} {refusal}.")
    found = _Trial(workload, plans, seconds, clock).run()
    remember(key, found)
    return found


def candidates(
    machine: Machine, device: str, workload: Workload, precision: str = "auto", memory_format: str = "auto"
) -> list[Plan]:
    """The plans worth trying, the one to be taken unmeasured first: float32 in channels_last, unless given otherwise."""
    given = precision != "auto" or memory_format != "auto"
    plain = Plan(device, threads=torch.get_num_threads(), batch_size=workload.batch_size)
    formats = MEMORY_FORMATS[1:] if memory_format == "auto" else (memory_format,)
    if precision != "auto":
        return [replace(plain, precision=precision, memory_format=formats[0], source="given")]
    reduced = [name for name in machine.reduced[torch.device(device).type] if _fits(name, device, workload.purpose)]
    source = "given" if given and not reduced else "default"
    return [
        replace(plain, precision=name, memory_format=layout, source=source)
        for name in ("float32", *reduced)
        for layout in formats
    ]


def difference(outputs: Tensor, expected: Tensor) -> float:
    """Root mean square of the differences over that of the spread of what was expected (n, ...) over the pictures.

    Where all pictures give the same, over that of the outputs themselves.
    """
    wanted = expected.double()
    spread = (wanted - wanted.mean(dim=0)).square().mean()
    scale = spread if spread > 0 else wanted.square().mean()
    wrong = (outputs.double() - wanted).square().mean()
    return math.sqrt(float(wrong / scale)) if scale > 0 else float(wrong)


def _fits(precision: str, device: str, purpose: str) -> bool:
    """float16 needs its gradients scaled, which is done on CUDA alone."""
    return precision != "float16" or purpose == "embed" or torch.device(device).type == "cuda"


def _bounded(plan: Plan, workload: Workload, given: bool) -> Plan:
    batch = plan.batch_size or workload.batch_size
    bounded, note = bounded_batch(batch, workload.image_bytes, workload.fixed_bytes, usable_memory(plan.device))
    if note and given and bounded < batch:
        bounded, note = batch, f"Batches of {batch} images, as asked, may not fit into memory; {bounded} would."
    kept = [old for old in plan.notes if not old.startswith(("Batches of", "One image at a time"))]
    return replace(plan, batch_size=bounded, notes=(*kept, *filter(None, [note])))
