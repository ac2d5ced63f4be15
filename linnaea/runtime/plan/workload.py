"""What is to be run, as measuring sees it; and which plans are worth trying for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from linnaea.runtime.arguments import MEMORY_FORMATS
from linnaea.runtime.machine import Machine
from linnaea.runtime.plan.contract import Plan
from linnaea.runtime.plan.memory import bounded_batch, usable_memory


@dataclass(frozen=True)
class Workload:
    """`images` images to be run through the network `name`, in batches of at most `batch_size`.

    `purpose` is "embed" or "train", `shape` that of an image. `step` does real work on a batch of `plan.batch_size`
    images and says whether all it made is finite; `answers` gives the outputs (n, ...) for the same few images
    whenever it is called. An image takes `image_bytes` of memory, the network `fixed_bytes`. A batch whose size was
    `given` by hand is never made smaller. `unfit` says why number formats of 16 bits cannot be used, as the end of a
    sentence that begins with one; "" where they can. Where `most` is a number, batches may grow to that many images
    for as long as that is faster.
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
    given: bool = False
    unfit: str = ""
    most: int | None = None

    def bounded(self, plan: Plan) -> Plan:
        """The plan with batches that fit into memory, and a note where they had to be halved or may not fit."""
        batch = plan.batch_size or self.batch_size
        fitting, note = bounded_batch(batch, self.image_bytes, self.fixed_bytes, usable_memory(plan.device))
        if self.given and fitting < batch:
            fitting, note = batch, f"Batches of {batch} images, as requested, may not fit into memory; {fitting} would."
        return replace(plan, batch_size=fitting, notes=(*plan.notes, *filter(None, [note])))


def candidates(
    machine: Machine, device: str, workload: Workload, precision: str = "auto", memory_format: str = "auto"
) -> list[Plan]:
    """The plans worth trying, the one to be taken unmeasured first: float32 in channels_last, unless given otherwise.

    A number format given by hand leaves nothing to try. float16 is tried for training on CUDA alone, where gradients
    are scaled to fit into it.
    """
    layouts = MEMORY_FORMATS[1:] if memory_format == "auto" else (memory_format,)
    plain = Plan(device, threads=torch.get_num_threads(), memory_format=layouts[0], batch_size=workload.batch_size)
    if precision != "auto":
        return [replace(plain, precision=precision, source="given")]
    kind = torch.device(device).type
    scaled = kind == "cuda" or workload.purpose == "embed"
    reduced = [name for name in machine.reduced.get(kind, ()) if name != "float16" or scaled]
    return [
        replace(plain, precision=name, memory_format=layout) for name in ("float32", *reduced) for layout in layouts
    ]
