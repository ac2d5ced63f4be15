"""The training loop, from top to bottom."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from linnaea.errors import LinnaeaError
from linnaea.learning.augmentations import augment
from linnaea.learning.balance import Balance
from linnaea.learning.checkpoints import load_checkpoint, save_checkpoint
from linnaea.learning.targets import score
from linnaea.models.model import Model
from linnaea.runtime.machine import prepare_processor
from linnaea.runtime.plan import Plan
from linnaea.task import Task

logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its number format at every set-up
Images = npt.NDArray[np.uint8]
Targets = npt.NDArray[Any]
FORMATS: "dict[str, Any]" = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}  # Fabric's names
WARM_UP = 0.15


@dataclass(frozen=True)
class Examples:
    """Decoded pictures (N, S, S, 3) of uint8 and their targets: class indices (N,), or 0, 1 and NaN (N, K)."""

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


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    The learning rate rises linearly over the first 15 % of the training, then falls linearly to zero (Goyal et al.
    2017; Li et al. 2020, "Budgeted training"). `deadline` is a time of `time.monotonic`: progress is whatever is
    further, epochs or time, so that a training that is stopped by its deadline has come to the end of its schedule.
    `patience` is the number of epochs without a better validation loss after which training stops.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    patience: int = 10
    deadline: float = math.inf

    def rate(self, progress: float) -> float:
        """Learning rate at a progress of 0 to 1."""
        rising, falling = progress / WARM_UP, (1 - progress) / (1 - WARM_UP)
        return self.learning_rate * max(0.0, min(rising, falling))


class DivergedError(LinnaeaError):
    """The loss is no longer a number."""


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
) -> list[dict[str, Any]]:
    """Train `model` in place, leave in it its best weights, and return the history, a row per epoch.

    The best weights are those of the epoch with the lowest validation loss, or those it came with when no epoch beats
    them. `balance` decides which images are drawn, how they count, and how val images count (None: all the same).
    Whatever is random in an epoch is seeded by `seed` and the epoch's number, so that training resumed from
    `checkpoints` (`last.safetensors`, written after every epoch) goes on exactly as it would have. Raises
    DivergedError when the loss becomes infinite or NaN.
    """
    balance = balance or Balance.of(None, train.targets, int(model.arguments["classes"]))
    prepare_processor()
    fabric = Fabric(accelerator=plan.device, devices=1, precision=FORMATS[plan.precision])
    network, optimizer = fabric.setup(model.to(memory_format=plan.layout), optimizer)
    history: list[dict[str, Any]] = []
    started, counted = time.monotonic(), balance.on_val(val.targets)
    last, best = (checkpoints / "last.safetensors", checkpoints / "best.safetensors") if checkpoints else (None, None)
    if last is not None and best is not None and last.exists():
        best_loss = load_checkpoint(best, model, None)["val_loss"]
        best_weights = _copy(model)
        history = load_checkpoint(last, model, optimizer)["history"]
        started -= history[-1]["seconds"]
    else:
        best_loss, _ = judge(network, val, task, schedule.batch_size, plan.device, counted, plan.layout)
        best_weights = _copy(model)
        if best is not None:
            save_checkpoint(best, model, None, {"val_loss": best_loss})
    for epoch in range(len(history), schedule.epochs):
        if _is_over(history, schedule):
            break
        epoch_seed = seed + 1_000_003 * epoch
        torch.manual_seed(epoch_seed)
        generator = torch.Generator().manual_seed(epoch_seed)
        drawn = balance.rows(train.targets, epoch_seed)
        steps = math.ceil(len(drawn) / schedule.batch_size)
        batches = np.array_split(drawn[torch.randperm(len(drawn), generator=generator).numpy()], steps)  # none of one
        network.train()
        losses = []
        for step, rows in enumerate(batches):
            progress = _progress(epoch + step / steps, schedule, started)
            if progress >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(progress) * group.get("rate_scale", 1.0)
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
        val_loss, val_score = judge(network, val, task, schedule.batch_size, plan.device, counted, plan.layout)
        row = {
            "epoch": epoch + 1,
            "seconds": round(time.monotonic() - started, 3),
            "learning_rate": schedule.rate(_progress(epoch + 1, schedule, started)),
            "train_loss": train_loss,
            "val_loss": val_loss,
            f"val_{task.metric}": val_score,
        }
        history.append(row)
        on_epoch(row)
        if val_loss < best_loss:
            best_loss, best_weights = val_loss, _copy(model)
            if best is not None:
                save_checkpoint(best, model, None, {"val_loss": val_loss})
        if last is not None:
            save_checkpoint(last, model, optimizer, {"history": history})
    model.load_state_dict(best_weights)
    return history


@torch.no_grad()
def judge(
    network: nn.Module,
    examples: Examples,
    task: Task,
    batch_size: int,
    device: str,
    weights: npt.NDArray[np.float32] | None = None,
    layout: torch.memory_format = torch.channels_last,
) -> tuple[float, float]:
    """Mean loss, in which images count by `weights` (N,), and score; the network is left in evaluation mode."""
    network.eval()
    loss, parts = 0.0, []
    for start in range(0, len(examples), batch_size):
        rows = np.arange(start, min(start + batch_size, len(examples)))
        images, targets = examples.batch(rows)
        pixels = images.to(device).float().div_(255).contiguous(memory_format=layout)
        logits = network(pixels).cpu().float()
        if weights is None:
            loss += float(task.loss(logits, targets)) * len(targets)
        else:
            loss += float(torch.from_numpy(weights[rows]) @ task.losses(logits, targets))
        parts.append(logits.numpy())
    return loss / len(examples), score(np.concatenate(parts), examples.targets)


def _progress(epochs_done: float, schedule: Schedule, started: float) -> float:
    by_epochs = epochs_done / schedule.epochs
    if schedule.deadline == math.inf:
        return by_epochs
    return max(by_epochs, (time.monotonic() - started) / max(schedule.deadline - started, 1e-9))


def _is_over(history: list[dict[str, Any]], schedule: Schedule) -> bool:
    """Whether the schedule has come to its end, or the validation loss has not fallen for too long."""
    if not history:
        return False
    losses = [row["val_loss"] for row in history]
    waited = len(losses) - 1 - losses.index(min(losses))
    return waited >= schedule.patience or history[-1]["learning_rate"] == 0


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
