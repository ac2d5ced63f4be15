"""The contract of a loss, and a task that uses one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from linnaea.errors import UsageError
from linnaea.learning.amounts import Amount, look_up
from linnaea.registry import Registry
from linnaea.task import Task
from linnaea.taxonomy import Taxonomy

Losses = Callable[[Tensor, Tensor], Tensor]  # logits (N, K) and class indices (N,) or weights (N, K) to losses (N,)


@dataclass(frozen=True)
class Loss:
    """A registered loss: `make(tree, amount)` returns the loss of each image; `tasks` are those it is for.

    `tree` is the taxonomy of the classes, without groups where the task knows none; `amount` the number that may follow
    the name, None for a loss that takes none. `usual_for` are the tasks that use it unless told otherwise.
    """

    make: Callable[[Taxonomy, float | None], Losses]
    tasks: tuple[str, ...]
    amount: Amount | None = None
    usual_for: tuple[str, ...] = ()


LOSSES: Registry[Loss] = Registry("loss")


def with_loss(task: Task, name: str | None, tree: Taxonomy) -> Task:
    """The task with the loss of this name, or with its usual one (None); raises UsageError for one of other tasks."""
    if name is None:
        name = next((known for known, loss in LOSSES.items() if task.name in loss.usual_for), None)
    if name is None:
        return task
    loss, amount = look_up(LOSSES, name)
    if task.name not in loss.tasks:
        fitting = [known for known, other in LOSSES.items() if task.name in other.tasks]
        instead = f"use {', '.join(fitting)}" if fitting else "leave it out"
        raise UsageError(
            f"the loss {name!r} is for {' and '.join(loss.tasks)} data, but these are {task.name}: {instead}."
        )
    return replace(task, criterion=loss.make(tree, amount))
