"""The contract of a rung."""

from collections.abc import Callable
from dataclasses import dataclass

from linnaea.learning.job import Fitted, Job
from linnaea.registry import Registry


@dataclass(frozen=True)
class Rung:
    """A registered rung: `fit`, and whether it builds on pretrained weights (None: it has no use for them).

    A `baseline` is there to be beaten. `balances` names what balancers can act on here, keys of
    `linnaea.learning.balance.ACTS`; `usual` the augmentations it trains with unless told otherwise. `losses` says
    whether it can learn by any loss that is asked for, `recipe` which fields of a `TrainingRecipe` it follows, and
    which of `linnaea.learning.recipe.OF_LOOP`.

    In the automatic ladder stand, by their cost, the rungs without use for weights and those that need them or, where
    there are none, those that do without.
    """

    fit: Callable[[Job], Fitted]
    pretrained: bool | None
    baseline: bool = False
    balances: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    losses: bool = True
    recipe: tuple[str, ...] = ()


RUNGS: Registry[Rung] = Registry(
    "rung", "linnaea.learning.rungs", title="Rungs of the ladder", use="Chosen with `linnaea train --model`."
)
