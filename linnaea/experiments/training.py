"""What is asked of a training, looked at and settled before a run begins."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from linnaea.classifier.calibrators import require_calibrator
from linnaea.data.datasheet import Datasheet, find_datasheet, read_datasheet
from linnaea.data.images.greys import recipe_for
from linnaea.data.images.pixels import Recipe
from linnaea.data.sources import read
from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.evidence.calibration import Aims
from linnaea.evidence.conformal import require_sets
from linnaea.evidence.openset import require_score
from linnaea.evidence.roll_up import require_taxonomy
from linnaea.evidence.thresholds import require_thresholds
from linnaea.experiments.asked_classes import hold_out, with_positive
from linnaea.experiments.cross_validation import require_enough
from linnaea.experiments.groups.membership import require_fair_steps, with_fair_groups
from linnaea.experiments.groups.thresholds import (
    require_thresholds_for_groups,
)
from linnaea.experiments.image_size import picture_size
from linnaea.experiments.run_life import way_of
from linnaea.experiments.several import require_shareable
from linnaea.learning.augmentations import require_channels_for
from linnaea.learning.keeping import EVERY
from linnaea.learning.losses import require_loss
from linnaea.learning.objectives.choosing import require_objective
from linnaea.learning.objectives.mixing import parted
from linnaea.learning.objectives.teacher import fingerprint
from linnaea.learning.rungs import (
    Options,
    Step,
    TrainingRecipe,
    require_one_loss,
    require_use_of_loss,
    require_use_of_recipe,
    steps_balanced,
    steps_for,
)
from linnaea.learning.uncertainty import steps_with_members
from linnaea.options import Decision, Learning, Machine, Preparation, Repetition
from linnaea.options.words import pairs_in
from linnaea.runtime.clock import command_started
from linnaea.runtime.duration import parse_duration
from linnaea.runtime.plan import pick_device, pick_memory_format, pick_precision

FINISHING_SHARE = 0.08  # of the time limit is kept for calibration, evaluation and the report


@dataclass(frozen=True)
class Training:
    """All that is settled before a run begins: nothing of it is refused later.

    `until` is the `time.monotonic` at which the ladder must end, `limit` the seconds that the whole command may take.
    """

    dataset: Dataset
    sheet: Datasheet | None
    steps: Sequence[Step]
    notes: Sequence[str]
    recipe: Recipe
    options: Options
    aims: Aims
    preparation: Preparation
    ood: str
    started: float
    limit: float | None
    repetition: Repetition = Repetition()
    log: Sequence[str] = ()
    fair_by: str | None = None

    @property
    def until(self) -> float:
        """When the ladder must end, as a time of `time.monotonic`."""
        return self.started + self.limit * (1 - FINISHING_SHARE) if self.limit else math.inf

    @property
    def split_seed(self) -> int:
        """The seed for splits and folds."""
        given = self.preparation.split_seed
        return self.options.seed if given is None else given

    @property
    def way(self) -> dict[str, Any]:
        """What a resumed run must not take differently."""
        teacher = self.options.recipe.teacher
        taught = {} if teacher is None else {"teacher": fingerprint(teacher)}
        return way_of(self.recipe, self.steps) | taught


def settle(
    data: str | Path | Dataset,
    preparation: Preparation,
    learning: Learning,
    decision: Decision,
    machine: Machine,
    repetition: Repetition = Repetition(),
    log: Sequence[str] = (),
) -> Training:
    """Look at what was asked for; raises UsageError or DataError for what does not go together or with the data."""
    started, limit = command_started(), parse_duration(machine.time_limit)
    require_channels_for(learning.augment or (), preparation.channels)
    dataset = data if isinstance(data, Dataset) else read(data)
    dataset = with_positive(hold_out(dataset, decision.hold_out or ()), decision.positive)
    dataset = with_fair_groups(dataset, learning.fair, learning.fair_by, clashing=_clashing(learning))
    require_thresholds_for_groups(dataset, learning.fair, learning.fair_by, decision.aim)
    aims = aims_of(decision)
    _require_fitting(dataset, decision, members=learning.uncertainty is not None)
    require_enough(dataset, repetition.folds)
    if repetition.folds is not None and preparation.split_by != "stratified":
        raise UsageError(f"folds are stratified, and --split-by is {preparation.split_by}: leave one of them out.")
    steps, notes, options = way_to_learn(learning, machine, dataset, preparation.channels)
    size = picture_size(dataset, steps) if preparation.img_size is None else preparation.img_size
    return Training(
        dataset,
        _datasheet(dataset, preparation.datasheet),
        steps,
        notes,
        recipe_for(dataset.paths, size, preparation.fit, preparation.max_pixels, preparation.channels),
        options,
        aims,
        preparation,
        decision.ood,
        started,
        limit,
        repetition,
        log,
        learning.fair_by,
    )


def aims_of(decision: Decision) -> Aims:
    """What the policy is asked for."""
    return Aims(
        decision.coverage,
        decision.unsure_rate,
        decision.unfamiliar_rate,
        decision.aim,
        decision.risk,
        decision.calibrator,
        decision.sets,
    )


def way_to_learn(
    learning: Learning, machine: Machine, dataset: Dataset, channels: int
) -> tuple[list[Step], list[str], Options]:
    """The steps that are asked for, notes on them, and what they are told; raises UsageError where parts do not fit."""
    options = _options(learning, machine)
    require_one_loss(learning.loss, learning.balance)
    require_loss(learning.loss, dataset.task)
    require_objective(
        options.recipe,
        dataset.task,
        dataset.classes,
        channels=channels,
        balance=learning.balance,
        augmentations=options.augmentations,
    )
    steps, notes = steps_for(learning.model, learning.weights, pairs_in(learning.model_args))
    for step in steps:
        if step.weights is not None:
            step.weights.require_channels(channels)
    require_use_of_loss(learning.loss, steps)
    require_use_of_recipe(options.recipe, steps, auto=learning.model == "auto")
    steps, more = steps_balanced(steps, learning.balance, auto=learning.model == "auto")
    auto = learning.model == "auto"
    steps, left_out = steps_with_members(steps, learning.uncertainty, options.recipe, auto=auto)
    steps, unfair = require_fair_steps(learning.fair, steps, auto=auto)
    shared = require_shareable(options.recipe, learning.batch_size, steps, learning.uncertainty)
    return steps, [*notes, *more, *left_out, *unfair, *shared], options


def _options(learning: Learning, machine: Machine) -> Options:
    """What the rungs are told; raises UsageError for what this machine does not have."""
    device = pick_device(machine.device)
    return Options(
        learning.epochs,
        learning.learning_rate,
        learning.batch_size,
        None if learning.augment is None else tuple(learning.augment),
        balance=learning.balance,
        fair=learning.fair,
        loss=learning.loss,
        recipe=TrainingRecipe(**{field.name: getattr(learning, field.name) for field in fields(TrainingRecipe)}),
        device=device,
        memory_format=pick_memory_format(machine.memory_format),
        precision=pick_precision(machine.precision, device),
        seed=machine.seed,
        checkpoint_every=parse_duration(machine.checkpoint_every) or EVERY,
    )


def _clashing(learning: Learning) -> list[str]:
    """The options that say how images count, as the methods of fairness do, or what is learnt from."""
    mixing = parted(learning.augment or ())[1]
    objective = learning.objective not in (None, "supervised")
    given = {"--balance": learning.balance, "--objective": objective, f"--augment {', '.join(mixing)}": mixing}
    return [name for name, value in given.items() if value]


def _require_fitting(dataset: Dataset, decision: Decision, *, members: bool) -> None:
    """Raise UsageError where the decisions asked for are none for these labels."""
    require_score(decision.ood, several=dataset.multilabel, members=members)
    require_calibrator(decision.calibrator, several=dataset.multilabel)
    require_sets(decision.sets, several=dataset.multilabel)
    require_thresholds(dataset.task, decision.aim)
    require_taxonomy(
        dataset.task, decision.risk, decision.unsure_rate if decision.unsure_rate != Aims.unsure_rate else None
    )


def _datasheet(dataset: Dataset, given: str | Path | None) -> Datasheet | None:
    file = find_datasheet(dataset) if given is None else Path(given)
    return read_datasheet(file) if file is not None else None
