"""Training on what a compressor changed: the run's own recipe, at a low rate, for a few epochs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from linnaea.experiments.attempt import Material
from linnaea.learning.job import Job, Options
from linnaea.learning.normalisation import IMAGES, renew_statistics
from linnaea.learning.optimizers import make_optimizer, usual_rate
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.rungs.finetune import BATCH_SIZE, LABEL_SMOOTHING, PATIENCE, USUAL, WEIGHT_DECAY
from linnaea.learning.rungs.guard import choose_augmentations
from linnaea.learning.rungs.planned import plan_training
from linnaea.learning.supervised import Trained, train_network
from linnaea.learning.trials import Trial
from linnaea.learning.zeros import ZerosKept
from linnaea.models import Model
from linnaea.models.network import Network
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS

EXAMPLES_SEEN = 6_000
FEWEST_EPOCHS, MOST_EPOCHS = 2, 8
KEPT = ("optimizer", "clip_norm", "accumulate", "ema", "label_smoothing", "on_nan")  # of how the run was trained


@dataclass(frozen=True, eq=False)
class Tuning:
    """Trains models on, on the images of the run; see `linnaea.delivery.compression.contract.Tune`."""

    material: Material
    options: Options
    teacher: Path
    trials: dict[str, Trial] = field(default_factory=dict)

    def __call__(
        self,
        model: Model,
        *,
        epochs: int | None = None,
        rate: float = 0.1,
        precision: str = "auto",
        taught: bool = False,
        renewed: bool = False,
        zeros: bool = False,
    ) -> list[str]:
        """Train the model on, in place; its best weights on val are left, and notes returned."""
        options = self.options
        if taught and not TASKS[self.material.task].multilabel:
            options = replace(options, recipe=taught_by(options.recipe, self.teacher))
        job, recipe = self.material.job(options, float("inf")), options.recipe
        job = replace(job, hooks=[ZerosKept()] if zeros else [], trials=self.trials)
        number = epochs or max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(EXAMPLES_SEEN / len(job.train))))
        augmentations, notes = choose_augmentations(job, USUAL)
        if renewed and isinstance(model, Network) and model.has_statistics:
            renew_statistics(model.to(options.device), job.subset(IMAGES), BATCH_SIZE, Plan(options.device))
        if isinstance(model, Network):
            notes += filter(None, [model.keep_statistics()])
        plan = self._plan(job, model, number, precision)
        batch_size = plan.batch_size or BATCH_SIZE
        name = recipe.optimizer or "adamw"
        highest = rate * usual_rate(name, "fine_tuning", batch_size * recipe.batches_per_step)
        trained = train_network(
            job,
            model.to(self.options.device).requires_grad_(True),
            _optimizer(recipe, model, highest),
            recipe.schedule_of(number, batch_size, highest, PATIENCE, float("inf")),
            plan,
            augmentations=augmentations,
            label_smoothing=0.0 if job.task.multilabel else recipe.label_smoothing or LABEL_SMOOTHING,
        )
        model.cpu().eval()
        return [_told(trained, highest), *notes, *trained.notes]

    def _plan(self, job: Job, model: Model, epochs: int, precision: str) -> Plan:
        """The fastest plan or, in a given format, the usual one, without a trial of it."""
        if precision == "auto":
            return plan_training(job, model, BATCH_SIZE, epochs)
        asked = self.options.batch_size
        size = asked if isinstance(asked, int) else BATCH_SIZE
        return Plan(self.options.device, precision, torch.get_num_threads(), batch_size=min(size, len(job.train)))


def taught_by(recipe: TrainingRecipe, teacher: Path, objective: str = "distillation") -> TrainingRecipe:
    """The recipe with a run as the teacher of the network."""
    return replace(recipe, objective=objective, teacher=teacher)


def options_of(arguments: Mapping[str, Any], seed: int, device: str) -> Options:
    """How the run was trained, as its frozen arguments say, without what belongs to its beginning."""
    recipe = TrainingRecipe(**{name: arguments[name] for name in KEPT if arguments.get(name) is not None})
    augment = arguments.get("augment")
    return Options(
        batch_size=arguments.get("batch_size"),
        augmentations=None if augment is None else tuple(augment),
        balance=arguments.get("balance"),
        loss=arguments.get("loss"),
        recipe=recipe,
        device=device,
        precision=arguments.get("precision") or "auto",
        memory_format=arguments.get("memory_format") or "auto",
        seed=seed,
    )


def _optimizer(recipe: TrainingRecipe, model: Model, rate: float) -> torch.optim.Optimizer:
    if recipe.optimizer is None:
        return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    return make_optimizer(recipe.optimizer, model, rate)


def _told(trained: Trained, rate: float) -> str:
    epochs = len(trained.history)
    kept = f"the weights of epoch {trained.kept} were kept" if trained.kept else "no epoch was better than none"
    return (
        f"Trained on for {epochs} {'epoch' if epochs == 1 else 'epochs'} at rates up to {rate:.2g}: {kept} (loss on "
        f"val {trained.loss:.3f}, at first {trained.start:.3f})."
    )
