"""What a network is worth on val, and the best weights of a training."""

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from linnaea.arrays import Float32
from linnaea.learning.checkpoints import save_checkpoint
from linnaea.learning.examples import Examples
from linnaea.learning.hooks import Hook, State
from linnaea.learning.keeping import resumable
from linnaea.learning.losses import Criterion
from linnaea.learning.processes.sharing import in_parts
from linnaea.learning.targets import score
from linnaea.learning.temperature import best_factor
from linnaea.runtime.plan import Plan

BEST = "best.safetensors"


@dataclass(frozen=True)
class Judgement:
    """What a network is worth on val: its mean loss, that at its best temperature, and the task's score, 0 to 1."""

    loss: float
    calibrated: float
    score: float


@dataclass(frozen=True)
class Judge:
    """Judges networks on examples, images counting by `weights` (N,) (None: all the same), in the formats of a plan."""

    examples: Examples
    criterion: Criterion
    batch_size: int
    plan: Plan = field(default_factory=lambda: Plan("cpu"))
    weights: Float32 | None = None

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> Judgement:
        """What a network is worth; it is left in evaluation mode.

        The loss is the one it learns by, and the one at its best temperature is that of the criterion's judge.
        """
        network.eval()
        logits = in_parts(len(self.examples), self.batch_size, lambda rows: self._logits(network, rows))
        targets, counted = torch.from_numpy(self.examples.targets), self.weights
        if counted is None:
            loss = float(self.criterion.mean(logits, targets))
        else:
            loss = float(torch.from_numpy(counted) @ self.criterion.losses(logits, targets)) / len(targets)
        _, calibrated = best_factor(self.criterion.judge.losses, logits, targets, weights=counted)
        return Judgement(loss, calibrated, score(logits.numpy(), self.examples.targets))

    def _logits(self, network: nn.Module, rows: slice) -> Tensor:
        images, _ = self.examples.batch(rows)
        pixels = images.to(self.plan.device).float().div_(255).contiguous(memory_format=self.plan.layout)
        logits: Tensor = network(pixels).cpu().float()
        return logits


class Average(Protocol):
    """What has other weights to show than those that are trained on."""

    def shown(self, model: nn.Module) -> AbstractContextManager[None]:
        """Meanwhile the model has them."""


@dataclass
class Judged(Hook):
    """Judges after every epoch and leaves the best weights in the model, or those it came with where none are better.

    The best are those with the lowest loss on val at its best temperature. Training stops after `patience` epochs
    without a better one. `metric` names the score in the rows. In the end the best weights lie in `best.safetensors`
    below `folder` (None: nowhere), until then in the checkpoints. With `average`, it is the averaged weights that are
    judged and kept. `seen` judges the network on training images as they are, for comparison with val.
    """

    judge: Judge
    metric: str
    patience: int
    folder: Path | None = None
    average: Average | None = None
    seen: Judge | None = None
    best: dict[str, Any] = field(default_factory=dict)
    _weights: dict[str, Tensor] = field(default_factory=dict)
    _latest: float = 0.0

    def begin(self, state: State) -> None:
        """Judge what the training starts from; one that was broken off brings its best weights along."""
        if resumable(self.folder):
            return
        began = time.monotonic()
        start = self.judge(state.network).calibrated
        more = len(self.seen.examples) / len(self.judge.examples) if self.seen is not None else 0.0
        self.seconds = (time.monotonic() - began) * (1 + more)
        self.best = {"epoch": 0, "loss": start, "start": start}
        self._weights = _copied(state.model)

    def figures(self, state: State) -> Mapping[str, float]:
        """The loss and the score on training images as they are, and the losses and the score on val."""
        with self._shown(state.model):
            found = self.judge(state.network)
            seen = self.seen(state.network) if self.seen is not None else None
        self._latest = found.calibrated
        known = {} if seen is None else {"seen_loss": seen.loss, f"seen_{self.metric}": seen.score}
        return {
            **known,
            "val_loss": found.loss,
            "val_loss_calibrated": found.calibrated,
            f"val_{self.metric}": found.score,
        }

    def after_epoch(self, state: State) -> None:
        """Keep the weights where they are the best so far, and stop where none were for too long."""
        if self._latest < self.best["loss"]:
            self.best |= {"epoch": state.history[-1]["epoch"], "loss": self._latest}
            self._weights = self.weights(state)
        state.stopping = waited(state.history) >= self.patience

    def end(self, state: State) -> None:
        """Leave the best weights in the model, and a copy on disk."""
        state.model.load_state_dict(self._weights)
        if self.folder is not None and state.first:
            save_checkpoint(self.folder / BEST, state.model, None, self.best)

    def tensors(self) -> dict[str, Tensor]:
        """The best weights so far, and what they are worth."""
        told = [float(self.best["epoch"]), self.best["loss"], self.best["start"], self.seconds]
        weights = {f"weights/{name}": value for name, value in self._weights.items()}
        return {"best": torch.tensor(told, dtype=torch.float64), **weights}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from these."""
        epoch, loss, start, self.seconds = tensors["best"].tolist()
        self.best = {"epoch": int(epoch), "loss": loss, "start": start}
        self._weights = {
            name.removeprefix("weights/"): value for name, value in tensors.items() if name.startswith("weights/")
        }

    def weights(self, state: State) -> dict[str, Tensor]:
        """A copy of the weights that are judged."""
        with self._shown(state.model):
            return _copied(state.model)

    def prefer(self, weights: dict[str, Tensor], loss: float) -> None:
        """Take these weights, which have this loss, for the best ones."""
        self._weights, self.best["loss"] = weights, loss

    def _shown(self, model: nn.Module) -> AbstractContextManager[None]:
        return nullcontext() if self.average is None else self.average.shown(model)


def waited(history: list[dict[str, Any]]) -> int:
    """For how many epochs the loss on val has not fallen below its lowest."""
    losses = [row["val_loss_calibrated"] for row in history]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
