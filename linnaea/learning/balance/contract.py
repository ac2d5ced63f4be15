"""The contract of a balancer: what keeps a training from neglecting the classes with few images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from linnaea.registry import Registry

ACTS = {
    "draws": "changes which images are drawn",
    "weights": "changes how much each class counts",
    "loss": "changes the softmax loss",
    "features": "makes features",
    "pictures": "makes pictures",
}
EQUAL = (
    "It answers as if all classes were equally common: where they are as common as in train, its probabilities are too "
    "high for the rare ones, and the temperature does not mend that."
)


@dataclass(frozen=True)
class Balancer:
    """What it acts on, a key of `ACTS`, the function, and a sentence on what becomes of the probabilities.

    The function maps, by what it acts on (N images, K classes; an `amount` is handed on as the last argument):

    - draws: targets (N,) and a random generator of NumPy to the rows (M,) of an epoch
    - weights: images per class (K,) to a weight per class (K,)
    - loss: logits (N, K), class weights (N, K) and the shares of the classes (K,) to losses (N,)
    - features: features (N, D), targets (N,) and a seed to more of both, the given ones first
    - images: arrays (N, S, S, 3) of uint8, targets (N,) and a seed to further images and their targets
    """

    acts_on: str
    act: Callable[..., Any]
    note: str = EQUAL

    def __call__(self, *arguments: Any, amount: float | None) -> Any:
        """What the function makes of the arguments and of the amount, if it takes one."""
        return self.act(*arguments, *([] if amount is None else [amount]))


BALANCERS: Registry[Balancer] = Registry(
    "balance", "linnaea.learning.balance", title="Balancers", use="Chosen with `linnaea train --balance`."
)
