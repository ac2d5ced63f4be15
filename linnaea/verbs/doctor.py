"""`doctor`: what this machine and this installation can do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import Learning, Machine, Only, Option, Preparation
from linnaea.options.things import AsJson
from linnaea.runtime.saying import say, say_json, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.runtime.plan import Plan


@dataclass(frozen=True)
class Diagnosis:
    """Facts by name and, where a network was timed, the fastest plan for it by purpose."""

    facts: Mapping[str, Any]
    plans: Mapping[str, "Plan"] = field(default_factory=dict)


def tell(answer: Callable[[], Diagnosis], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Print the facts, and a table of what was timed."""
    found = answer()
    if as_json:
        say_json({**found.facts, "plans": {purpose: plan.to_json() for purpose, plan in found.plans.items()}})
        return
    width = max(map(len, found.facts))
    say(*(f"{name:{width}}  {value}" for name, value in found.facts.items()))
    if found.plans:
        from linnaea.experiments.network_timing import table

        timed = f"{given['network']} at {given['img_size']} pixels"
        say_text(f"\n{timed}\n{table(found.plans)}\nThe plans are remembered; * is taken.")


@VERBS.register(
    "doctor",
    title="Doctor",
    meaning="Show what this machine and this installation can do; with --network, how fast and in which formats.",
    order=70,
)
@told_by(tell)
def doctor(
    *,
    network: Annotated[
        str | None,
        Option("Network of timm or torchvision to time in each number format and memory layout. Default: none."),
    ] = None,
    preparation: Annotated[Preparation, Only("img_size")] = Preparation(img_size=224),
    learning: Annotated[Learning, Only("batch_size")] = Learning(batch_size=32),
    machine: Annotated[Machine, Only("device")] = Machine(),
) -> Diagnosis:
    """What this machine and this installation can do; with `network`, how fast it embeds and trains, and how.

    The network has random weights; it embeds and trains on images of `img_size` pixels, in batches of `batch_size`.
    """
    from linnaea.runtime.doctor import examine

    facts = examine()
    if network is None:
        return Diagnosis(facts)
    from linnaea.experiments.network_timing import measure_plans

    size, batch = preparation.img_size or 224, learning.batch_size or 32
    if not isinstance(batch, int):
        raise UsageError(f"batch_size is {batch}, which is for training: expected a whole number, such as 32.")
    return Diagnosis(facts, measure_plans(network, img_size=size, batch_size=batch, device=machine.device))
