"""A training carried out, stage by stage, from labelled images to a finished run."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier, load
from linnaea.data.audit import Inspection
from linnaea.data.datasheet import FILE, copy_datasheet, stale
from linnaea.delivery.card import write_card
from linnaea.delivery.report import write_report
from linnaea.experiments.attempt import Attempted, Material
from linnaea.experiments.balancing import balanced
from linnaea.experiments.conclusion import conclude
from linnaea.experiments.groups.thresholds import (
    sets_thresholds,
    thresholds_for,
)
from linnaea.experiments.groups.trade_off import measured_trade_off, threshold_trade_off, write_groups, write_trade_off
from linnaea.experiments.guessing import against_guessing, guessed
from linnaea.experiments.inspection import closer_look
from linnaea.experiments.ladder import Choice, climb
from linnaea.experiments.logs import NOWHERE, Logs, logging_to
from linnaea.experiments.preparation import Prepared, prepare
from linnaea.experiments.repetition import Repeated, Turns, folds_of
from linnaea.experiments.run_life import begun, timed
from linnaea.experiments.same_data import kept_dataset
from linnaea.experiments.seen_before import warn_of_seen
from linnaea.experiments.several import recorded, share_files
from linnaea.experiments.training import Training
from linnaea.learning.rungs import (
    Job,
)
from linnaea.run import Run, now

logger = logging.getLogger("linnaea")
LOOKING_SHARE = 0.15  # of the time limit: when it has passed before the images were looked at, they are not


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
            write_trade_off(run, threshold_trade_off(run, str(training.options.fair), str(training.fair_by)))
            return
        step = next(step for step in training.steps if step.name == choice.result.name)
        if training.limit is not None or step.rung.baseline:
            run.note("What --fair costs is not measured under a time limit: train once more without it, and compare.")
            return
        write_trade_off(run, measured_trade_off(run, step, choice.result, material, job))


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
