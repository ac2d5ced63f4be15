"""The rung that trains a pretrained network whole, starting from a head fitted on its frozen features."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from linnaea.learning.job import Fitted, Job
from linnaea.learning.low_rank import adapt, merge
from linnaea.learning.optimizers import make_optimizer, usual_rate
from linnaea.learning.recipe import OF_LOOP, OF_TRAINING, OF_TRANSFER, TrainingRecipe
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.learning.rungs.frozen import fit_frozen
from linnaea.learning.rungs.guard import choose_augmentations
from linnaea.learning.rungs.planned import plan_training
from linnaea.learning.rungs.recipes import dropped, settle_rate, unfreezing
from linnaea.learning.supervised import Trained, train_network
from linnaea.models.network import Network

EXAMPLES_SEEN = 18_000
FEWEST_EPOCHS, MOST_EPOCHS = 4, 12
BATCH_SIZE = 32
ADAPTERS_FASTER = 5  # low-rank adapters, which are far fewer, than all weights
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.05
PATIENCE = 4
USUAL = ("zoom", "flip")


def fit_finetune(job: Job) -> Fitted:
    """Linear probing, then fine-tuning (Kumar et al. 2022): AdamW, batch normalisation as pretraining left it."""
    options, recipe = job.options, job.options.recipe
    probed = fit_frozen(_with_dropout(job))
    assert isinstance(probed.model, Network), "a frozen backbone is a network"
    model = probed.model
    augmentations, notes = choose_augmentations(job, USUAL)
    notes += filter(None, [model.keep_statistics()])
    if recipe.lora is not None:
        notes.append(adapt(model, recipe.lora, options.seed))
    epochs = options.epochs or max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(EXAMPLES_SEEN / len(job.train))))
    plan = plan_training(job, model, BATCH_SIZE, epochs)
    batch_size = plan.batch_size or BATCH_SIZE
    faster = 1 if recipe.lora is None else ADAPTERS_FASTER
    usual = faster * usual_rate(recipe.optimizer or "adamw", "fine_tuning", batch_size * recipe.batches_per_step)
    changes: dict[str, Any] = {
        "augmentations": augmentations,
        "label_smoothing": 0.0 if job.task.multilabel else LABEL_SMOOTHING,
    }
    rate, found = settle_rate(job, model, partial(_optimizer, recipe), usual, plan, **changes)
    trained = train_network(
        job,
        model,
        _optimizer(recipe, model, rate),
        recipe.schedule_of(epochs, batch_size, rate, PATIENCE, job.deadline_to_train(model)),
        plan,
        build=partial(_optimizer, recipe),
        hooks=unfreezing(job, model, epochs),
        **changes,
    )
    if recipe.lora is not None:
        merge(model)
    plan = replace(plan, notes=(*plan.notes, *trained.notes))
    notes = [*probed.notes, *notes, *found, *plan.notes]
    if trained.kept:
        return Fitted(model, trained.history, notes, plan.to_json())
    return replace(
        probed, model=model, history=trained.history, notes=notes, plan=plan.to_json(), warnings=[_not_better(trained)]
    )


def _with_dropout(job: Job) -> Job:
    """The job with weights for a network that drops what the recipe asks for while it trains."""
    assert job.weights is not None, "steps_for gives this rung its weights"
    more = dropped(job.options.recipe, job.weights.network, job.size)
    return replace(job, weights=replace(job.weights, arguments={**job.weights.arguments, **more})) if more else job


def _optimizer(recipe: TrainingRecipe, model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """The optimizer that was asked for; else AdamW, with decay on all weights where layers learn equally fast."""
    if recipe.optimizer is None and recipe.layer_decay is None:
        return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
    return make_optimizer(recipe.optimizer or "adamw", model, rate, layer_decay=recipe.layer_decay)


def _not_better(trained: Trained) -> str:
    if not trained.history:
        return (
            "The time limit left no time for a single step of fine-tuning: the frozen backbone was kept. Set a longer "
            "--time-limit."
        )
    lowest = min(row["val_loss_calibrated"] for row in trained.history)
    return (
        f"Fine-tuning did not help: its lowest loss on val was {lowest:.3f}, against {trained.start:.3f} for the "
        "frozen backbone it started from, so those weights were kept. A smaller --lr or more --epochs may help."
    )


RUNGS.register("finetune", title="Fine-tuning", meaning="A pretrained network, all of it trained on.", cost="hours")(
    Rung(
        fit_finetune,
        pretrained=True,
        balances=("draws", "weights", "loss", "pictures"),
        usual=USUAL,
        recipe=(*OF_LOOP, *OF_TRAINING, *OF_TRANSFER),
    )
)
