"""The rung for when no pretrained weights can be had: a compact residual network, or a named one, from scratch."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from linnaea.errors import LinnaeaError, UsageError
from linnaea.learning.job import Fitted, Job
from linnaea.learning.judging import Judge
from linnaea.learning.muon import Muon
from linnaea.learning.optimizers import make_optimizer, usual_rate
from linnaea.learning.recipe import OF_LOOP, OF_TRAINING, TrainingRecipe
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.learning.rungs.guard import choose_augmentations
from linnaea.learning.rungs.planned import plan_training
from linnaea.learning.rungs.recipes import dropped, settle_rate
from linnaea.learning.supervised import train_network
from linnaea.models.compact import Compact
from linnaea.models.model import MODELS, Model, said
from linnaea.models.network import Network
from linnaea.runtime.plan import Plan

EXAMPLES_SEEN = 450_000
FEWEST_EPOCHS, MOST_EPOCHS = 8, 40
WHITENING_IMAGES = 2_000
LARGEST_BATCH = 250
LEARNING_RATE = 0.4
ORTHOGONAL_RATE = 0.2  # of it, for convolutions whose steps are made orthogonal
DECAY = 1e-3
MOMENTUM, ORTHOGONAL_MOMENTUM = 0.85, 0.6
BIAS_RATE = 32.0  # times faster: the biases of the compact network's norms (Jordan 2024)
LABEL_SMOOTHING = 0.2
COMPACT = "compact"
NETWORK_BATCH, NETWORK_OPTIMIZER = 125, "adamw"
USUAL = ("shift", "flip")
NOT_BETTER = (
    "Training did not help: the random weights it started from were kept. A smaller --lr or more --epochs may help."
)


def fit_scratch(job: Job) -> Fitted:
    """A triangular learning rate and label smoothing; AdamW, or Muon and a whitened stem for the compact network.

    Where images may be mirrored, the compact network answers by the mean over both sides if that helps on val.
    """
    options, recipe = job.options, job.options.recipe
    torch.manual_seed(options.seed)
    model = _network(job)
    augmentations, notes = choose_augmentations(job, USUAL)
    compact = isinstance(model, Compact)
    largest, build = (LARGEST_BATCH, _for_compact) if compact else (NETWORK_BATCH, _for_network)
    epochs = options.epochs or _epochs(job)
    usual_batch = max(16, min(largest, len(job.train) // 20))
    plan = plan_training(job, model, usual_batch, epochs)
    batch_size = plan.batch_size or usual_batch
    images = batch_size * recipe.batches_per_step
    usual = LEARNING_RATE * (images / largest) ** 0.5
    if recipe.optimizer is not None or not compact:
        usual = usual_rate(recipe.optimizer or NETWORK_OPTIMIZER, "from_scratch", images)
    changes: dict[str, Any] = {
        "augmentations": augmentations,
        "label_smoothing": 0.0 if job.task.multilabel else LABEL_SMOOTHING,
    }
    rate, found = settle_rate(job, model, partial(build, recipe), usual, plan, **changes)
    trained = train_network(
        job,
        model,
        build(recipe, model, rate),
        recipe.schedule_of(epochs, batch_size, rate, max(5, epochs // 2), job.deadline_to_train(model)),
        plan,
        build=partial(build, recipe),
        **changes,
    )
    if not trained.history:
        raise LinnaeaError("the time limit left no time for a single training step: set a longer --time-limit.")
    if isinstance(model, Compact) and "flip" in augmentations:
        notes = [*notes, _both_sides(model, job, trained.loss)]
    plan = replace(plan, notes=(*plan.notes, *trained.notes))
    warnings = [] if trained.kept else [NOT_BETTER]
    seen = model.remarks() if isinstance(model, Network) else []
    notes = [*notes, *seen, *job.balance.notes, *found, *plan.notes]
    return Fitted(model, trained.history, notes, plan.to_json(), warnings=warnings)


def _both_sides(model: Compact, job: Job, loss: float) -> str:
    """Let the model answer by both sides of an image where that lowers its `loss` on val; says what was done."""
    model.look_at_both_sides()
    counted = job.balance.on_val(job.val.targets, job.val.groups)
    both = Judge(job.val, job.criterion, LARGEST_BATCH, Plan(job.options.device), counted)(model).calibrated
    told = f"the loss on val is {both:.3f} with it and {loss:.3f} without"
    if both < loss:
        return f"Answers are the mean over the image and its mirror image: {told}."
    model.look_at_both_sides(False)
    return f"Answers are for the image alone, without its mirror image: {told}."


def _for_network(recipe: TrainingRecipe, model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """The optimizer that was asked for; else AdamW, by which networks learn with and without normalisation."""
    return make_optimizer(recipe.optimizer or NETWORK_OPTIMIZER, model, rate)


def _for_compact(recipe: TrainingRecipe, model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """The optimizer that was asked for; else Muon with the compact network's own groups."""
    if recipe.optimizer is not None:
        return make_optimizer(recipe.optimizer, model, rate)
    return Muon(_groups(model), lr=rate, momentum=MOMENTUM)


def _groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weights decay, biases do not; the network's convolutions take orthogonal steps and need no decay."""
    compact = isinstance(model, Compact)  # and what an objective trains beside it is none
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    biases = [parameter for name, parameter in trained if name.endswith("bias")]
    weights = [parameter for name, parameter in trained if not name.endswith("bias")]
    orthogonal = [parameter for parameter in weights if compact and parameter.ndim == 4]
    others = [parameter for parameter in weights if not compact or parameter.ndim != 4]
    groups = [
        {"params": others, "weight_decay": DECAY},
        {"params": biases, "rate_scale": BIAS_RATE if compact else 1.0},
        {"params": orthogonal, "orthogonal": True, "momentum": ORTHOGONAL_MOMENTUM, "rate_scale": ORTHOGONAL_RATE},
    ]
    return [group for group in groups if group["params"]]


def _epochs(job: Job) -> int:
    """As many as the time limit admits; without one, enough to see 450,000 examples."""
    if math.isfinite(job.deadline):
        return MOST_EPOCHS
    return max(FEWEST_EPOCHS, min(MOST_EPOCHS, EXAMPLES_SEEN // len(job.train)))


def _network(job: Job) -> Model:
    """The network of this name, a registered model or one of timm or torchvision; none is named: the compact one."""
    name, recipe = job.network or COMPACT, job.options.recipe
    if name not in MODELS:
        arguments = {**job.arguments, **dropped(recipe, name, job.size)}
        return Network.fitting(name, job.classes, job.size, arguments_of_body=arguments, channels=job.channels)
    unused = recipe.given(("dropout", "drop_path"))
    if unused:
        raise UsageError(f"{name} has no use for {' and '.join(unused)}: leave it out, or name a network of timm.")
    build: Any = MODELS[name]
    model: Model = build(classes=job.classes, size=job.size, **said(job.channels), **job.arguments)
    if isinstance(model, Compact):
        pictures = torch.from_numpy(np.asarray(job.subset(WHITENING_IMAGES).images)).permute(0, 3, 1, 2)
        model.whiten(pictures.float() / 255)
    return model


RUNGS.register("scratch", title="From scratch", meaning="A network that has seen no images but these.", cost="hours")(
    Rung(
        fit_scratch,
        pretrained=False,
        balances=("draws", "weights", "loss", "pictures"),
        usual=USUAL,
        recipe=(*OF_LOOP, *OF_TRAINING),
    )
)
