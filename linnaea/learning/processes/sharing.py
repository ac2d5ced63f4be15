"""What one process of several adds to a step: its part of each batch counts by its images, and its noise is its own."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn

from linnaea.learning.processes.party import shared


def weighed(
    fabric: Fabric, images: float, loss: Tensor, figures: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """The loss to go backward from, the mean loss of the whole batch, and figures, of this process's part of a batch.

    Gradients are averaged over processes, each of which counts by its `images`: the first loss is weighted so that it
    comes out as the mean over all images of the batch. Figures are such that their mean over processes is that.
    """
    if fabric.world_size == 1:
        return loss, loss.detach(), {name: value.detach() for name, value in figures.items()}
    counted = torch.tensor(float(images), device=loss.device)
    sums = fabric.all_reduce(torch.stack([counted, loss.detach().float() * counted]), reduce_op="sum")
    assert isinstance(sums, Tensor), "a tensor of a tensor"
    total = sums[0].clamp(min=1)
    share = counted * fabric.world_size / total
    return loss * share, sums[1] / total, {name: value.detach() * share for name, value in figures.items()}


def whole_batch(part: Tensor) -> Tensor:
    """A batch (B, ...) of which this process has every so-manieth row (b, ...), from all processes; as it is, alone."""
    place = shared()
    if not place.several:
        return part
    counts = torch.empty(place.ranks, dtype=torch.long, device=part.device)
    distributed.all_gather_into_tensor(counts, counts.new_tensor([len(part)]))
    most = int(counts.max())
    padded = torch.cat([part, part.new_zeros((most - len(part), *part.shape[1:]))]).contiguous()
    parts = [torch.empty_like(padded) for _ in range(place.ranks)]
    distributed.all_gather(parts, padded)
    together = part.new_empty((int(counts.sum()), *part.shape[1:]))
    for rank, (own, rows) in enumerate(zip(parts, counts.tolist(), strict=True)):
        together[rank :: place.ranks] = own[:rows]
    return together


def shown_together(
    seen: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], images: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """This process's part of what `seen` makes of the whole batch, where images are mixed with others of it."""
    place = shared()
    whole_images, whole_targets = seen(whole_batch(images), whole_batch(targets))
    own = slice(place.rank, None, place.ranks)
    return whole_images[own], whole_targets[own]


@contextmanager
def own_noise(network: nn.Module) -> Iterator[None]:
    """Meanwhile what the network draws, such as what it drops out, differs from process to process.

    Everything else is drawn alike in all of them from torch's global generator, which the network leaves as it was.
    """
    place = shared()
    if not place.several:
        yield
        return
    kept: list[Tensor] = []
    passes = count()

    def before(module: nn.Module, inputs: Any) -> None:
        kept.append(torch.get_rng_state())
        seed = (int(torch.randint(2**32, ())) + next(passes)) * place.ranks + place.rank
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed(seed)

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        torch.set_rng_state(kept.pop())

    hooks = [network.register_forward_pre_hook(before), network.register_forward_hook(after, always_call=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def in_parts(number: int, at_once: int, answer: Callable[[slice], Tensor]) -> Tensor:
    """What `answer` makes of each part (n, ...) of `number` rows, `at_once` of them or fewer, one after the other.

    Several processes take turns with the parts, as many each, and all get everything; on the processor.
    """
    place = shared()
    size = math.ceil(at_once / place.ranks)
    parts = [slice(start, start + size) for start in range(0, number, size)]
    own = parts[place.rank :: place.ranks]
    rounds = math.ceil(len(parts) / place.ranks)
    answers = [answer(part) for part in (own + [parts[0]] * rounds)[:rounds]][: len(own)]
    if not place.several:
        return torch.cat(answers)
    gathered: list[list[Tensor]] = [[] for _ in range(place.ranks)]
    distributed.all_gather_object(gathered, answers)
    return torch.cat([gathered[turn % place.ranks][turn // place.ranks] for turn in range(len(parts))])
