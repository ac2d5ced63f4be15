"""A run by several processes: the first does it, the others train networks with it when it calls them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from linnaea.errors import UsageError
from linnaea.learning.optimizers import usual_schedule
from linnaea.learning.processes import current, joined
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.rungs import Step
from linnaea.learning.uncertainty import collects
from linnaea.options import Machine
from linnaea.runtime.plan import pick_device
from linnaea.runtime.ranks import Place, place_in

USUAL = "ddp"
UNSHARDED = {
    "ema": "averages whole weights after every step",
    "soup": "judges other weights than those that were trained",
    "unfreeze": "has some weights learn later than others",
}


@contextmanager
def processes(machine: Machine) -> Iterator[None]:
    """Meanwhile this process may call those that were started with it; one that is not the first serves, and ends.

    Raises UsageError where the environment, or what the machine has, does not fit them.
    """
    place = place_in()
    if not place.several:
        require_one_process(machine.strategy)
        yield
        return
    device = pick_device(machine.device)
    _require_devices(device, place)
    with joined(place, device, USUAL if machine.strategy == "auto" else machine.strategy) as party:
        assert party is not None, "there are several"
        if place.first:
            yield
        else:
            party.serve()
    if not place.first:
        raise SystemExit(0)


def require_one_process(strategy: str) -> None:
    """Raise UsageError for a strategy that one process has no use for."""
    if strategy != "auto":
        raise UsageError(
            f"--strategy is {strategy}, which is how several processes share a network, and this is the only one: "
            "leave it out, or start several with `torchrun --nproc-per-node N -m linnaea train ...`."
        )


def require_alone(machine: Machine) -> None:
    """Raise UsageError where several processes were started for what one does."""
    require_one_process(machine.strategy)
    place = place_in()
    if place.several:
        raise UsageError(
            f"{place.ranks} processes were started, and a search is done by one, which may try several networks at a "
            "time: start it without torchrun, and train the best with several."
        )


def _require_devices(device: str, place: Place) -> None:
    if device == "mps":
        raise UsageError("several processes cannot share one Apple GPU: start one, or use --device cpu.")
    if device == "cuda" and place.local_ranks > torch.cuda.device_count():
        raise UsageError(
            f"{place.local_ranks} processes were started on a machine with {torch.cuda.device_count()} GPUs: start one "
            "for each GPU (torchrun --nproc-per-node), or use --device cpu."
        )


def require_shareable(
    recipe: TrainingRecipe,
    batch_size: int | str | None,
    steps: Sequence[Step],
    uncertainty: int | str | None = None,
) -> list[str]:
    """Notes on what several processes do; raises UsageError for what they cannot do together."""
    party = current()
    if party is None:
        return []
    ranks = party.place.ranks
    if isinstance(batch_size, int) and batch_size < ranks:
        raise UsageError(
            f"a batch of {batch_size} images cannot be shared by {ranks} processes: set --batch-size to {ranks} or "
            "more (it counts the images of all processes), or start fewer."
        )
    if recipe.on_nan == "rollback":
        raise UsageError(
            f"--on-nan is rollback, which one process does alone, and {ranks} were started: leave it out, or start "
            "one process."
        )
    for name, why in UNSHARDED.items():
        if party.strategy == "fsdp" and getattr(recipe, name) not in (None, "all"):
            raise UsageError(f"--{name} {why}, which --strategy fsdp cannot do: use --strategy ddp, or leave it out.")
    if party.strategy == "fsdp" and usual_schedule(recipe.optimizer):
        raise UsageError(
            f"the optimizer {recipe.optimizer} averages whole weights, which --strategy fsdp cannot do: use --strategy "
            "ddp, or choose another optimizer."
        )
    if party.strategy == "fsdp" and collects(uncertainty):
        raise UsageError(
            f"--uncertainty {uncertainty} copies whole weights on their way, of which each process has a part by "
            "--strategy fsdp: use --strategy ddp, or deep_ensemble, whose members are whole when they are trained."
        )
    alone = [step.name for step in steps if not trains(step)]
    told = f"{ranks} processes train networks together ({party.strategy}), each with its part of every batch."
    once = f"The first of {ranks} processes does {', '.join(alone)} alone: there is no network to train together."
    return [*([told] if len(alone) < len(steps) else []), *([once] if alone else [])]


def trains(step: Step) -> bool:
    """Whether a step trains a network."""
    return "optimizer" in step.rung.recipe


def share_files(folder: Path) -> None:
    """Let what is passed between machines lie in the folder of the run, which all of them must see."""
    party = current()
    if party is not None and not party.on_one_machine:
        party.passed.folder = folder / "checkpoints" / "shared"


def recorded() -> dict[str, Any]:
    """What `run.json` says of the processes; nothing of a single one."""
    party = current()
    if party is None:
        return {}
    return {"processes": {"count": party.place.ranks, "strategy": party.strategy}}
