"""The rung for when no pretrained weights can be had: a compact residual network, or a named one, from scratch."""

import math
from typing import Any

import torch

from linnaea.errors import LinnaeaError
from linnaea.learning.mirror import choose_augmentations
from linnaea.learning.rungs.finetune import measure_training
from linnaea.learning.rungs.rung import RUNGS, Fitted, Job, Rung
from linnaea.learning.training import Schedule, fit
from linnaea.models.compact import Compact
from linnaea.models.model import Model
from linnaea.models.network import Network

EXAMPLES_SEEN = 450_000
FEWEST_EPOCHS, MOST_EPOCHS = 8, 40
WHITENING_IMAGES = 2_000
LARGEST_BATCH = 125
LEARNING_RATE = 0.2
DECAY = 1e-3
BIAS_RATE = 32.0


def fit_scratch(job: Job) -> Fitted:
    """Nesterov momentum with a triangular learning rate and label smoothing, whitened stem for the compact network."""
    torch.manual_seed(job.options.seed)
    model = _network(job)
    augmentations, notes = choose_augmentations(job, ("shift", "flip"))
    batch_size = job.options.batch_size or max(16, min(LARGEST_BATCH, len(job.train) // 20))
    rate = job.options.learning_rate or LEARNING_RATE * (batch_size / LARGEST_BATCH) ** 0.5
    optimizer = torch.optim.SGD(_groups(model), lr=rate, momentum=0.85, nesterov=True)
    epochs = job.options.epochs or _epochs(job)
    plan = measure_training(job, model, batch_size)
    history = fit(
        model,
        optimizer,
        job.train,
        job.val,
        Schedule(epochs, batch_size, rate, patience=max(5, epochs // 2), deadline=job.deadline),
        job.task,
        plan=plan,
        augmentations=augmentations,
        label_smoothing=0.2,
        seed=job.options.seed,
        checkpoints=job.checkpoints,
        on_epoch=job.on_epoch,
    )
    if not history:
        raise LinnaeaError("the time limit left no time to train a step: give more with --time-limit.")
    return Fitted(model, history, notes, plan.to_json())


def _groups(model: Model) -> list[dict[str, Any]]:
    """Weights decay; the biases of the compact network's norms learn much faster than weights (Jordan 2024)."""
    faster = BIAS_RATE if isinstance(model, Compact) else 1.0
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for name, parameter in trained if not name.endswith("bias")], "weight_decay": DECAY},
        {"params": [parameter for name, parameter in trained if name.endswith("bias")], "rate_scale": faster},
    ]


def _epochs(job: Job) -> int:
    """As many as the time limit admits; without one, enough to see 450,000 examples."""
    if math.isfinite(job.deadline):
        return MOST_EPOCHS
    return max(FEWEST_EPOCHS, min(MOST_EPOCHS, EXAMPLES_SEEN // len(job.train)))


def _network(job: Job) -> Model:
    if job.network is not None:
        return Network(job.network, job.classes, job.size)
    model = Compact(job.classes, job.size)
    pictures = torch.from_numpy(job.subset(WHITENING_IMAGES).images).permute(0, 3, 1, 2)
    model.whiten(pictures.float() / 255)
    return model


RUNGS.register("scratch")(Rung(fit_scratch, pretrained=False))
