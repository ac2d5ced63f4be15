"""The contract of a loss, and which losses a task has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from linnaea.errors import UsageError
from linnaea.learning.amounts import Amount, amount_of, number_after
from linnaea.registry import Registry
from linnaea.taxonomy import Taxonomy


@dataclass(frozen=True)
class Context:
    """What a loss may want to know besides logits and targets.

    `multilabel` says that targets (N, K) are 0, 1 or NaN, unknown, each class on its own; `amount` is the number that
    may follow the name, None for a loss that takes none; `tree` the taxonomy of the classes, None where there is none.
    """

    multilabel: bool = False
    amount: float | None = None
    tree: Taxonomy | None = None


ONE_LABEL, SEVERAL_LABELS = Context(), Context(multilabel=True)


class Loss(Protocol):
    """A registered loss: logits (N, K) and targets to losses (N,), differentiable in the logits.

    Targets are class indices (N,) or class weights (N, K); of several labels 0 to 1 for each class, or NaN where nobody
    knows, which costs nothing (N, K). Its capabilities: `tasks` names those it is for, `usual_for` those that use it
    unless told otherwise. `amount`, for one that takes a number: its meaning, usual value, least and most. `proper`:
    whether the best answers by it are the true probabilities, so that networks are judged by it as well.
    """

    def __call__(self, logits: Tensor, targets: Tensor, context: Context = ONE_LABEL, /) -> Tensor:
        """The loss of each image."""


LOSSES: Registry[Loss] = Registry(
    "loss", "linnaea.learning.losses", title="Losses", use="Chosen with `linnaea train --loss`."
)


def usual_loss(task: str) -> str:
    """The name of the loss that a task uses unless told otherwise."""
    return next(name for name in LOSSES if task in _tasks(name, "usual_for"))


def is_for(name: str, task: str) -> bool:
    """Whether a loss is for a task; raises UsageError for an unknown one."""
    return task in _tasks(name, "tasks")


def require_loss(name: str | None, task: str) -> tuple[str, float | None]:
    """The loss and its number that `name` or `name:number` asks for, the usual ones where nothing is given (None).

    Raises UsageError for an unknown name, for a number that is none, out of range or not wanted, and for a loss of
    other tasks, with the names of those that fit.
    """
    if name is None:
        name = usual_loss(task)
    plain, _, _ = name.partition(":")
    number = number_after(name, "loss", _amount(plain))
    if not is_for(plain, task):
        fitting = [known for known in LOSSES if is_for(known, task)]
        raise UsageError(
            f"the loss {plain!r} is for {' and '.join(_tasks(plain, 'tasks'))} data, but these are {task}: use "
            f"{', '.join(fitting)}."
        )
    return plain, number


def _tasks(name: str, capability: str) -> Sequence[str]:
    tasks: Any = LOSSES.about(name).capabilities.get(capability, ())
    return tuple(tasks)


def _amount(name: str) -> Amount | None:
    return amount_of(LOSSES.about(name))
