"""How long and how fast to learn."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.learning.amounts import look_up
from linnaea.learning.schedules import SCHEDULES, Moment, usual_warm_up

USUAL = "one_cycle"


@dataclass(frozen=True)
class Schedule:
    """How many `epochs` of batches of `batch_size`, and the highest `learning_rate`.

    The learning rate rises linearly over the share `warm_up` of the training (None: as is usual for the schedule), then
    goes as the schedule `name` says: unless told otherwise it falls linearly to zero (Goyal et al. 2017; Li et al.
    2020, "Budgeted training"). `deadline` is a time of `time.monotonic`: progress is whatever is further, epochs or
    time, so that a training that is stopped by its deadline has come to the end of its schedule. `patience` is the
    number of epochs without a better validation loss after which training stops.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int = 10
    deadline: float = math.inf
    name: str = USUAL
    warm_up: float | None = None

    def rate(self, progress: float, history: Sequence[dict[str, Any]] = ()) -> float:
        """Learning rate at a progress of 0 to 1, after epochs with these rows."""
        share = usual_warm_up(self.name) if self.warm_up is None else self.warm_up
        rising = progress / share if share else 1.0
        left = min(1.0, (1 - progress) / (1 - share))
        shape, amount = look_up(SCHEDULES, self.name)
        losses = [row["val_loss_calibrated"] for row in history if "val_loss_calibrated" in row]
        return self.learning_rate * max(0.0, min(rising, shape(Moment(max(0.0, left), losses, amount))))

    def progress(self, epochs_done: float, started: float) -> float:
        """How far a training that started at `started` has come, 0 to 1 and beyond."""
        by_epochs = epochs_done / self.epochs
        if self.deadline == math.inf:
            return by_epochs
        return max(by_epochs, (time.monotonic() - started) / max(self.deadline - started, 1e-9))

    def is_over(self, history: Sequence[dict[str, Any]]) -> bool:
        """Whether the end has come: the last epoch left the learning rate at zero."""
        return bool(history) and history[-1]["learning_rate"] == 0
