"""How many images fit into memory at once, counted on a few of them before the first batch."""

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from linnaea.runtime.machine import available_memory

SHARE = 0.7  # of the free memory is planned with: others take some, and allocators leave gaps
BACKWARD = 1.5  # times what is saved for the backward pass: gradients of activations come on top
TOLD = ("can't allocate memory", "out of memory", "not enough memory")  # by torch's allocators
FORWARD = 2.5  # times what the widest operation reads and writes: kernels pack their inputs for themselves


def is_shortage(error: BaseException) -> bool:
    """Whether memory ran out, on the processor or an accelerator."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in TOLD)


def release() -> None:
    """Give back what a step that failed had taken."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def usable_memory(device: str) -> int | None:
    """Bytes that may be planned with on a device now; None where that is not told."""
    if torch.device(device).type == "cuda":
        free: int | None = torch.cuda.mem_get_info()[0]
    else:
        free = available_memory()
    return None if free is None else int(SHARE * free)


def training_bytes(network: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Bytes that a training step takes for its images, of which `forward` is the forward pass; parameters apart."""
    own, saved = _parameters(network), {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()  # as long as it is there, what was saved for it is
    total = sum(saved.values())
    del output
    return int(BACKWARD * total)


def inference_bytes(network: nn.Module, forward: Callable[[], Any]) -> int:
    """Bytes that a forward pass takes at its widest operation, from what goes in and comes out of it."""
    counter = _Widest(_parameters(network))
    with torch.no_grad(), counter:
        forward()
    return int(FORWARD * counter.widest)


def _parameters(network: nn.Module) -> set[int]:
    """Where the parameters lie in memory, whatever views there are of them."""
    return {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}


class _Widest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the largest sum of bytes of the tensors that one operation reads and writes, but for the `ignored` ones."""

    def __init__(self, ignored: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ignored, self.widest = ignored, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        storages = (part.untyped_storage() for part in tree_iter((args, kwargs, result)) if isinstance(part, Tensor))
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        self.widest = max(self.widest, sum(size for place, size in sizes.items() if place not in self.ignored))
        return result


def bounded_batch(batch_size: int, per_image: float, fixed: float, usable: int | None) -> tuple[int, str]:
    """The batch halved until it fits into `usable` bytes, at least 1, and a sentence that says so; "" where it fits.

    `per_image` and `fixed` are the bytes that each image takes, and that are taken whatever the batch.
    """
    bounded = batch_size
    while usable is not None and bounded > 1 and fixed + bounded * per_image > usable:
        bounded //= 2
    if usable is None or (bounded == batch_size and fixed + bounded * per_image <= usable):
        return batch_size, ""
    needed, there = _gigabytes(fixed + batch_size * per_image), _gigabytes(usable)
    if bounded == batch_size:
        return bounded, f"One image at a time needs about {needed}, but only {there} can be used: memory may run out."
    return (
        bounded,
        f"Batches of {bounded} images instead of {batch_size}, which would need {needed}: {there} is available.",
    )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.2g} GB"
