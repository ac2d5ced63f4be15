"""What may be said about the training of a network beyond its epochs, rate and batches."""

from dataclasses import dataclass
from pathlib import Path

import torch

from linnaea.errors import UsageError
from linnaea.learning.averaging import Averaged
from linnaea.learning.optimizers import usual_schedule
from linnaea.learning.optimizers.schedule_free import Averaging, averages
from linnaea.learning.schedule import USUAL, Schedule

OF_LOOP = {"epochs": "--epochs", "learning_rate": "--lr", "batch_size": "--batch-size", "augmentations": "--augment"}
OF_TRAINING = (
    "objective",
    "teacher",
    "optimizer",
    "schedule",
    "warmup",
    "clip_norm",
    "accumulate",
    "ema",
    "label_smoothing",
    "patience",
    "on_nan",
    "soup",
    "find_lr",
    "dropout",
    "drop_path",
)
OF_TRANSFER = ("unfreeze", "layer_decay", "lora")


@dataclass(frozen=True)
class TrainingRecipe:
    """How networks are trained; None, 1 for `accumulate` and False mean that the rung knows best.

    `objective` says what is made small, `teacher` is the folder of the classifier that some learn from. `optimizer`,
    `schedule` and `unfreeze` are names, with a number where one may follow. `warmup` is a share of the
    training, `clip_norm` the longest gradient, `accumulate` the batches per step, `ema` the decay of averaged weights,
    `dropout`, `drop_path` and `label_smoothing` are shares, `patience` epochs, `layer_decay` the rate of a layer in
    terms of the next one's, `on_nan` "stop" or "rollback", `lora` the rank of adapters, `soup` the most epochs whose
    weights are averaged. `find_lr` asks for a range test.
    """

    objective: str | None = None
    teacher: str | Path | None = None
    optimizer: str | None = None
    schedule: str | None = None
    warmup: float | None = None
    clip_norm: float | None = None
    accumulate: int | None = None
    ema: float | None = None
    dropout: float | None = None
    drop_path: float | None = None
    label_smoothing: float | None = None
    patience: int | None = None
    on_nan: str | None = None
    unfreeze: str | None = None
    layer_decay: float | None = None
    lora: int | None = None
    soup: int | None = None
    find_lr: bool = False

    def __post_init__(self) -> None:
        if self.lora is not None and (self.unfreeze or self.layer_decay):
            raise UsageError(
                "with --lora only adapters learn, all alike: leave out --unfreeze and --layer-decay, or --lora."
            )
        if self.optimizer is None or usual_schedule(self.optimizer) is None:
            return
        for name in ("ema", "schedule"):
            if getattr(self, name) is not None:
                raise UsageError(
                    f"the optimizer {self.optimizer} averages its weights itself, at a constant rate: leave out "
                    f"--{name}, or choose another optimizer."
                )
        if self.unfreeze == "gradual":
            raise UsageError(
                f"the optimizer {self.optimizer} counts its steps for all weights together, and those that join later "
                "would leap: choose another optimizer, or --unfreeze all."
            )

    @property
    def batches_per_step(self) -> int:
        """How many batches make a step."""
        return self.accumulate or 1

    def given(self, names: tuple[str, ...]) -> list[str]:
        """Which of these were given, as they are called on the command line."""
        asked = [name for name in names if getattr(self, name) not in (None, False)]
        return [f"--{name.replace('_', '-')}" for name in asked]

    def schedule_of(self, epochs: int, batch_size: int, rate: float, patience: int, deadline: float) -> Schedule:
        """The schedule that was asked for, that of the optimizer, or the usual one."""
        name = self.schedule or usual_schedule(self.optimizer) or USUAL
        return Schedule(epochs, batch_size, rate, self.patience or patience, deadline, name, self.warmup)

    def averaging(self, optimizer: torch.optim.Optimizer) -> Averaged | Averaging | None:
        """The hook that shows averaged weights to whoever judges; None where weights are judged as they are."""
        if self.ema is not None:
            return Averaged(self.ema)
        return Averaging(optimizer) if averages(optimizer) else None
