"""The training loop, from top to bottom."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from linnaea.arrays import Images, Targets
from linnaea.errors import LinnaeaError
from linnaea.learning.augmentations import augment
from linnaea.learning.balance import Balance
from linnaea.learning.calibrated import calibrated_loss
from linnaea.learning.checkpoints import load_checkpoint, save_checkpoint
from linnaea.learning.schedule import Schedule
from linnaea.learning.targets import score
from linnaea.models.model import Model
from linnaea.runtime.machine import prepare_processor
from linnaea.runtime.plan import Plan
from linnaea.runtime.progress import track
from linnaea.task import Task

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its number format at every set-up
FORMATS: "dict[str, Any]" = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}  # Fabric's names
LAST, BEST = "last.safetensors", "best.safetensors"


@dataclass(frozen=True)
class Examples:
    """Decoded images (N, S, S, 3) of uint8 and their targets: class indices (N,), or 0, 1 and NaN (N, K)."""

    images: Images
    targets: Targets

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, most: int, seed: int) -> "Examples":
        """At most this many examples, drawn at random by the seed, in their old order."""
        if len(self) <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).permutation(len(self))[:most])
        return Examples(self.images[rows], self.targets[rows])

    def batch(self, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Images (B, 3, S, S) of uint8, laid out channels last, and targets (B,) or (B, K)."""
        return torch.from_numpy(self.images[rows]).permute(0, 3, 1, 2), torch.from_numpy(self.targets[rows])


class DivergedError(LinnaeaError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Judgement:
    """What a network is worth on val: its mean loss, that at its best temperature, and the task's score, 0 to 1."""

    loss: float
    calibrated: float
    score: float


@dataclass(frozen=True)
class Trained:
    """How a training went: a row per epoch, and the number of the epoch whose weights were kept.

    `kept` is 0 where no epoch beat the weights it came with; `loss` is that of the kept weights on val and `start` that
    of the first ones, both at their best temperature.
    """

    history: list[dict[str, Any]]
    kept: int
    loss: float
    start: float


def fit(
    model: Model,
    optimizer: torch.optim.Optimizer,
    train: Examples,
    val: Examples,
    schedule: Schedule,
    task: Task,
    *,
    plan: Plan,
    augmentations: tuple[str, ...] = (),
    balance: Balance | None = None,
    label_smoothing: float = 0.0,
    seed: int = 0,
    checkpoints: Path | None = None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Trained:
    """Train `model` in place, leave in it its best weights, and return how it went.

    The best weights are those of the epoch with the lowest validation loss at its best temperature, or those it came
    with when no epoch beats them. `balance` decides which images are drawn, how they count, and how val images count
    (None: all the same). Time for judging the last epoch is kept before the schedule's deadline. Whatever is random in
    an epoch is seeded by `seed` and the epoch's number, so that training resumed from `checkpoints`
    (`last.safetensors`, written after every epoch) goes on exactly as it would have. Raises DivergedError when the loss
    becomes infinite or NaN.
    """
    balance = balance or Balance.of(None, train.targets, int(model.arguments["classes"]))
    prepare_processor()
    fabric = Fabric(accelerator=plan.device, devices=1, precision=FORMATS[plan.precision])
    network, optimizer = fabric.setup(model.to(memory_format=plan.layout), optimizer)
    began, counted = time.monotonic(), balance.on_val(val.targets)

    def judged() -> Judgement:
        return judge(network, val, task, schedule.batch_size, plan.device, counted, plan.layout)

    if checkpoints is not None and (checkpoints / LAST).exists():
        best = load_checkpoint(checkpoints / BEST, model, None)
        best_weights = _copy(model)
        history = load_checkpoint(checkpoints / LAST, model, optimizer)["history"]
        began -= history[-1]["seconds"]
    else:
        start, history = judged(), []
        best = {"epoch": 0, "loss": start.calibrated, "start": start.calibrated}
        best |= {"judging": time.monotonic() - began}
        best_weights = _copy(model)
        if checkpoints is not None:
            save_checkpoint(checkpoints / BEST, model, None, best)
    schedule = replace(schedule, deadline=schedule.deadline - best["judging"])
    for epoch in range(len(history), schedule.epochs):
        if schedule.is_over(history):
            break
        epoch_seed = seed + 1_000_003 * epoch
        torch.manual_seed(epoch_seed)
        generator = torch.Generator().manual_seed(epoch_seed)
        drawn = balance.rows(train.targets, epoch_seed)
        steps = math.ceil(len(drawn) / schedule.batch_size)
        batches = np.array_split(drawn[torch.randperm(len(drawn), generator=generator).numpy()], steps)  # none of one
        network.train()
        losses = []
        for step, rows in enumerate(track(batches, f"epoch {epoch + 1} of at most {schedule.epochs}", steps)):
            if schedule.progress(epoch + step / steps, began) >= 1:
                break
            rate = schedule.rate(min(1.0, schedule.progress(epoch + (step + 0.5) / steps, began)))  # at its middle
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("rate_scale", 1.0)
            images, targets = train.batch(rows)
            images, targets = augment(images, targets, augmentations, generator, len(balance.counts))
            pixels, targets = fabric.to_device((images.float().div_(255), targets))
            logits = network(pixels.contiguous(memory_format=plan.layout))
            loss = balance.loss(task, logits, targets, label_smoothing)
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            losses.append(loss.detach())
        if not losses:
            break
        train_loss = torch.stack(losses).mean().item()
        if not math.isfinite(train_loss):
            raise DivergedError(
                f"the training loss became {train_loss} in epoch {epoch + 1}: expected a number; use a smaller --lr"
                f"{' or --precision float32' * (plan.precision != 'float32')}."
            )
        found = judged()
        row = {
            "epoch": epoch + 1,
            "seconds": round(time.monotonic() - began, 3),
            "learning_rate": schedule.rate(schedule.progress(epoch + 1, began)),
            "train_loss": train_loss,
            "val_loss": found.loss,
            "val_loss_calibrated": found.calibrated,
            f"val_{task.metric}": found.score,
        }
        history.append(row)
        on_epoch(row)
        if found.calibrated < best["loss"]:
            best, best_weights = best | {"epoch": epoch + 1, "loss": found.calibrated}, _copy(model)
            if checkpoints is not None:
                save_checkpoint(checkpoints / BEST, model, None, best)
        if checkpoints is not None:
            save_checkpoint(checkpoints / LAST, model, optimizer, {"history": history})
    model.load_state_dict(best_weights)
    return Trained(history, best["epoch"], best["loss"], best["start"])


@torch.no_grad()
def judge(
    network: nn.Module,
    examples: Examples,
    task: Task,
    batch_size: int,
    device: str,
    weights: npt.NDArray[np.float32] | None = None,
    layout: torch.memory_format = torch.channels_last,
) -> Judgement:
    """What a network is worth on examples that count by `weights` (N,); it is left in evaluation mode."""
    network.eval()
    parts = []
    for start in range(0, len(examples), batch_size):
        images, _ = examples.batch(np.arange(start, min(start + batch_size, len(examples))))
        pixels = images.to(device).float().div_(255).contiguous(memory_format=layout)
        parts.append(network(pixels).cpu().float())
    logits, targets = torch.cat(parts), torch.from_numpy(examples.targets)
    if weights is None:
        loss = float(task.loss(logits, targets))
    else:
        loss = float(torch.from_numpy(weights) @ task.losses(logits, targets)) / len(examples)
    scores = logits.numpy()
    calibrated = calibrated_loss(task.losses, scores, examples.targets, weights)
    return Judgement(loss, calibrated, score(scores, examples.targets))


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
