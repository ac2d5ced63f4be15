"""AdamW without a schedule."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from linnaea.errors import UsageError
from linnaea.learning.hooks import Hook, State
from linnaea.learning.optimizers.contract import OPTIMIZERS, Groups


@OPTIMIZERS.register(
    "schedule_free",
    title="Schedule-free AdamW",
    meaning="AdamW whose averaged weights are what counts, at a constant rate (`pip install 'linnaea[recipes]'`).",
    order=8,
    amount=("the weight decay", 0.02, 0, 1),
    from_scratch=2.5e-3,
    fine_tuning=3e-4,
    scaling="root",
    schedule="constant",
)
def schedule_free(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Defazio et al. 2024; the rate still rises during the warm-up."""
    try:
        from schedulefree import AdamWScheduleFree
    except ImportError:
        raise UsageError(
            "the optimizer schedule_free needs the package schedulefree: pip install 'linnaea[recipes]'."
        ) from None
    return AdamWScheduleFree(groups, lr=rate)  # type: ignore[no-any-return]


class Averaging(Hook):
    """Puts an optimizer that averages its weights into training mode, and shows the averages to whoever judges."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer

    def begin(self, state: State) -> None:
        """From here on steps are taken."""
        self.optimizer.train()

    @contextmanager
    def shown(self, model: nn.Module) -> Iterator[None]:
        """Meanwhile the model has the averaged weights; afterwards exactly those that are trained on."""
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.optimizer.eval()
        try:
            yield
        finally:
            self.optimizer.train()
            model.load_state_dict(own)


def averages(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer has averages to be shown, in a mode of its own."""
    return callable(getattr(optimizer, "eval", None)) and callable(getattr(optimizer, "train", None))
