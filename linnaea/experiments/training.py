"""A training from labelled images to a finished run: settled first, then carried out stage by stage."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier, load
from linnaea.classifier.calibrators import require_calibrator
from linnaea.data.audit import Inspection
from linnaea.data.datasheet import FILE, Datasheet, copy_datasheet, find_datasheet, read_datasheet, stale
from linnaea.data.images.greys import recipe_for
from linnaea.data.images.pixels import Recipe
from linnaea.data.sources import read
from linnaea.dataset import Dataset
from linnaea.delivery.card import write_card
from linnaea.delivery.report import write_report
from linnaea.errors import UsageError
from linnaea.evidence.calibration import Aims
from linnaea.evidence.conformal import require_sets
from linnaea.evidence.openset import require_score
from linnaea.evidence.roll_up import require_taxonomy
from linnaea.evidence.thresholds import require_thresholds
from linnaea.experiments.asked_classes import hold_out, with_positive
from linnaea.experiments.attempt import Attempted, Material
from linnaea.experiments.balancing import balanced
from linnaea.experiments.conclusion import conclude
from linnaea.experiments.cross_validation import require_enough
from linnaea.experiments.fair_groups import require_fair_steps, with_fair_groups
from linnaea.experiments.fair_thresholds import (
    require_thresholds_for_groups,
    sets_thresholds,
    thresholds_for,
    without_thresholds,
)
from linnaea.experiments.fair_trade_off import measured_trade_off, trade_off, write_groups, write_trade_off
from linnaea.experiments.guessing import against_guessing, guessed
from linnaea.experiments.image_size import picture_size
from linnaea.experiments.inspection import closer_look
from linnaea.experiments.ladder import Choice, climb
from linnaea.experiments.logs import NOWHERE, Logs, logging_to
from linnaea.experiments.preparation import Prepared, prepare
from linnaea.experiments.repetition import Repeated, Turns, folds_of
from linnaea.experiments.run_life import begun, timed, way_of
from linnaea.experiments.same_data import kept_dataset
from linnaea.experiments.seen_before import warn_of_seen
from linnaea.experiments.several import recorded, require_shareable, share_files
from linnaea.learning.augmentations import require_channels_for
from linnaea.learning.keeping import EVERY
from linnaea.learning.losses import require_loss
from linnaea.learning.objectives.choosing import require_objective
from linnaea.learning.objectives.mixing import parted
from linnaea.learning.objectives.teacher import fingerprint
from linnaea.learning.rungs import (
    Job,
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
from linnaea.run import Run, now
from linnaea.runtime.clock import command_started
from linnaea.runtime.duration import parse_duration
from linnaea.runtime.plan import pick_device, pick_memory_format, pick_precision

logger = logging.getLogger("linnaea")
LOOKING_SHARE = 0.15  # of the time limit: when it has passed before the images were looked at, they are not
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


def carry_out(
    training: Training,
    folder: Path,
    frozen: dict[str, Any],
    *,
    resume: bool,
    recipes: Mapping[str, str],
    work: "Callable[[Training, Prepared, Run, Logs], Classifier] | None" = None,
) -> Classifier:
    """Prepare, climb the ladder, conclude and report, in a run of this folder with these arguments.

    `recipes` are the texts of the files that repeat it, by name; `work` stands in place of the ladder and what follows
    it, up to the report.
    """
    if resume and _lacks_report(folder):
        write_report(folder)
        return load(Run(folder).model_folder)
    with (
        begun(folder, frozen, resume=resume, way=training.way, recipes=recipes) as run,
        logging_to(training.log, run.folder, frozen) as logs,
    ):
        run.update(seed=training.options.seed, **recorded())
        share_files(folder)
        run.note(*training.notes)
        for note in training.notes:
            logger.info(note)
        with timed(run, "decode, audit, split"):
            prepared = _prepared(training, run)
        classifier = (work or attempted_and_concluded)(training, prepared, run, logs)
        finish(run, training.started)
    write_report(run.folder)
    return classifier


def _lacks_report(folder: Path) -> bool:
    """Whether a run was finished, but for its report: its process was killed between the two."""
    report = folder / "report.html"
    return Run.is_in(folder) and not report.exists() and Run(folder).record()["status"] == "finished"


def attempted_and_concluded(training: Training, prepared: Prepared, run: Run, logs: Logs = NOWHERE) -> Classifier:
    """Attempt the steps, choose one, and conclude: the way from prepared images to a classifier with its evidence."""
    repetition = training.repetition
    material = Material.of(prepared, training.recipe)
    folds = folds_of(prepared, repetition, run, training.split_seed)
    turns = Turns.of(repetition, training.until)
    job = material.job(training.options, turns.next())
    if training.options.balance is not None:
        with timed(run, "balance"):
            job = balanced(job, run)
    with timed(run, "ladder"):
        choice = climb(run, training.steps, job, material, logs)
    repeated = Repeated(list(training.steps), training.options, training.aims, training.recipe, repetition, turns)
    if folds is not None:
        repeated.over_folds(folds, run, training.split_seed)
    if (repetition.seeds or 1) > 1:
        repeated.over_seeds(choice, material, run)
    classifier = concluded(training, choice, material, prepared, run)
    if training.options.fair is not None:
        _write_fairness(training, choice, material, job, run)
    return classifier


def _write_fairness(training: Training, choice: Choice, material: Material, job: Job, run: Run) -> None:
    """Write down the groups of the evaluation, and what the method costs, where there is time to see."""
    with timed(run, "fairness"):
        write_groups(run)
        if sets_thresholds(training.options.fair):
            write_trade_off(run, trade_off(str(training.options.fair), without_thresholds(run), run.predictions("val")))
            return
        step = next(step for step in training.steps if step.name == choice.result.name)
        if training.limit is not None or step.rung.baseline:
            run.note("What --fair costs is not measured under a time limit: train once more without it, and compare.")
            return
        write_trade_off(run, measured_trade_off(run, step, choice.result, material, job))


def _clashing(learning: Learning) -> list[str]:
    """The options that say how images count, as the methods of fairness do, or what is learnt from."""
    mixing = parted(learning.augment or ())[1]
    objective = learning.objective not in (None, "supervised")
    given = {"--balance": learning.balance, "--objective": objective, f"--augment {', '.join(mixing)}": mixing}
    return [name for name, value in given.items() if value]


def concluded(training: Training, choice: Choice, material: Material, prepared: Prepared, run: Run) -> Classifier:
    """Write down what was chosen and why, and conclude it."""
    chosen, guess = choice.result, guessed(material)
    plan = chosen.finished.provenance["plan"] | {"device": training.options.device}
    run.update(chosen=chosen.name, chosen_because=" ".join([choice.because, *_unbeaten(chosen, guess)]), plan=plan)
    fair = thresholds_for(training.options.fair, training.fair_by, material)
    return conclude(
        chosen,
        material,
        prepared,
        training.aims,
        run,
        ood=training.ood,
        deadline=training.until,
        guess=guess,
        fair=fair,
    )


def _unbeaten(chosen: Attempted, guess: Attempted) -> list[str]:
    """A sentence where what was chosen is not better than guessing on val."""
    assert guess.predictions is not None, "counting classes does not fail"
    assert chosen.predictions is not None, "it finished"
    found = None if chosen.baseline else against_guessing(guess.predictions, chosen.predictions, chosen.name, "val")
    return [found.summary] if found is not None and found.severity != "info" else []


def finish(run: Run, started: float) -> None:
    """The last entries of the record, and the model card."""
    run.update(status="finished", finished=now(), seconds=round(time.monotonic() - started, 1))
    write_card(run.folder)


def _prepared(training: Training, run: Run) -> Prepared:
    """The images decoded, audited and split, all of it written down."""
    prepared = prepare(
        training.dataset,
        training.recipe,
        seed=training.split_seed,
        duplicates=training.preparation.duplicates,
        split_by=training.preparation.split_by,
        stream=training.preparation.stream,
        keep_splits=kept_dataset(run, training.dataset),
        look=_look(training),
    )
    run.write_findings("audit", prepared.findings)
    run.write_dataset(prepared.dataset)
    warn_of_seen(run, training.steps)
    if prepared.dataset.task == "binary":
        run.update(positive=prepared.dataset.classes[1])
    if training.sheet is not None:
        copy_datasheet(training.sheet, prepared.dataset, run.folder / FILE)
        run.note(*filter(None, [stale(training.sheet, training.dataset)]))
    return prepared


def _look(training: Training) -> Callable[[Inspection], Inspection]:
    """Look at the images as `audit` does, by the weights that will be trained with; left out where time is short.

    Under a time limit it is HOG and colours, which take a known time.
    """
    limit = training.limit
    found = None if limit else next((step.weights for step in training.steps if step.weights is not None), None)

    def look(inspection: Inspection) -> Inspection:
        if limit and time.monotonic() - training.started > LOOKING_SHARE * limit:
            logger.info("Time is short: labels and looks of the images are not audited. `linnaea audit` does it.")
            return inspection
        return closer_look(found, training.recipe, training.options.seed)(inspection)

    return look


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
