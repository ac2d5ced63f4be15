"""How strongly a method is applied: as a target asks for it, or as far as what may be lost allows."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from linnaea.delivery.compression.contract import UnmetError, Workshop
from linnaea.models import Model

HALVINGS = 6  # of the range of strengths, to meet a target
TRIES = 3  # trainings by which it is seen how far one may go
MILDEST, STRONGEST = 0.05, 0.9
BRIEF = 1  # epochs of a try
MARGIN = 0.95  # of a time that is aimed at: it is measured again when all is done, and times vary
EXAMPLES_SEEN = 18_000  # in the training of what is kept, as in fine-tuning
FEWEST_EPOCHS, MOST_EPOCHS = 4, 12
logger = logging.getLogger("linnaea")


@dataclass(frozen=True, eq=False)
class Step:
    """A strength, 0 to 1, what it made, and what was seen of that: its worth on val, where it was judged."""

    strength: float
    model: Model
    megabytes: float
    milliseconds: float | None = None
    value: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        told = {"strength": self.strength, "megabytes": self.megabytes}
        return told | {"milliseconds": self.milliseconds, "value": self.value}

    @property
    def told(self) -> str:
        """In words."""
        taken = "" if self.milliseconds is None else f" and {self.milliseconds:.2f} ms for an image"
        return f"{self.megabytes:.2f} MB{taken} at a strength of {self.strength:.0%}"


Make = Callable[[float], Model]


def stepped(make: Make, workshop: Workshop, method: str, **training: Any) -> tuple[Step, list[Step]]:
    """The step to go on with, and all that were tried; `training` is how a try learns.

    With a target it is the mildest that meets it, and UnmetError is raised where none does, with the nearest; without
    one, the strongest that loses little enough on val after an epoch.
    """
    if workshop.wanted.target is not None:
        return _to_target(make, workshop, method)
    return _as_far_as_allowed(make, workshop, method, training)


def _to_target(make: Make, workshop: Workshop, method: str) -> tuple[Step, list[Step]]:
    strongest = _seen(make, workshop, STRONGEST)
    tried = [strongest]
    if not _meets(strongest, workshop):
        target = workshop.wanted.target
        assert target is not None, "it is what is not met"
        raise UnmetError(
            f"{method} cannot meet the target {target.text}: the nearest point is {strongest.told}. Ask for less with "
            "--target, or give other methods, such as --method distill with a small --student."
        )
    low, best = 0.0, strongest
    for _ in range(HALVINGS):
        step = _seen(make, workshop, max(MILDEST, (low + best.strength) / 2))
        tried.append(step)
        if _meets(step, workshop):
            best = step
        else:
            low = step.strength
        if best.strength <= MILDEST:
            break
    return best, tried


def _seen(make: Make, workshop: Workshop, strength: float) -> Step:
    model = make(strength)
    timed = workshop.wanted.target is not None and workshop.wanted.target.seconds is not None
    return Step(strength, model, model.megabytes, workshop.speed(model) if timed else None)


def _meets(step: Step, workshop: Workshop) -> bool:
    target = workshop.wanted.target
    assert target is not None, "asked before"
    if target.seconds is not None:
        assert step.milliseconds is not None, "it is measured for such a target"
        return step.milliseconds <= MARGIN * 1000 * target.seconds
    return target.megabytes is None or step.megabytes <= target.megabytes


def _as_far_as_allowed(
    make: Make, workshop: Workshop, method: str, training: dict[str, Any]
) -> tuple[Step, list[Step]]:
    low, high, tried = 0.0, 1.0, list[Step]()
    for _ in range(TRIES):
        strength = (low + high) / 2
        model = make(strength)
        workshop.tune(model, epochs=BRIEF, **training)
        step = Step(strength, model, model.megabytes, None, workshop.judge(model))
        logger.info(f"{method}: {step.told}, {step.value:.4f} on val after {BRIEF} epoch")
        tried.append(step)
        if step.value is not None and step.value >= workshop.least:
            low = strength
        else:
            high = strength
    good = [step for step in tried if step.value is not None and step.value >= workshop.least]
    return (max(good, key=lambda step: step.strength) if good else min(tried, key=lambda step: step.strength)), tried


def whole_training(workshop: Workshop) -> int:
    """The epochs by which what lost much is trained on."""
    return max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(EXAMPLES_SEEN / len(workshop.train))))
