"""`train`: read, decode, audit, split, climb the ladder, calibrate, evaluate, report."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from linnaea.classifier import Classifier
from linnaea.data.audit import Inspection
from linnaea.data.datasheet import FILE, Datasheet, copy_datasheet, find_datasheet, read_datasheet, stale
from linnaea.data.images.greys import recipe_for
from linnaea.data.images.pixels import Recipe
from linnaea.data.sources import read
from linnaea.data.splits import SPLITTERS
from linnaea.dataset import Dataset
from linnaea.delivery.card import write_card
from linnaea.delivery.report import write_report
from linnaea.evidence.calibration import Aims
from linnaea.evidence.openset import require_score
from linnaea.evidence.roll_up import require_taxonomy
from linnaea.evidence.thresholds import require_thresholds
from linnaea.experiments.asked_classes import hold_out as hold_out_of
from linnaea.experiments.asked_classes import with_positive
from linnaea.experiments.balancing import balanced
from linnaea.experiments.conclusion import conclude
from linnaea.experiments.examples import examples_job, picture_size
from linnaea.experiments.inspection import closer_look
from linnaea.experiments.ladder import climb
from linnaea.experiments.preparation import prepare
from linnaea.experiments.run_life import (
    begun,
    find_unfinished,
    freeze,
    new_folder,
    timed,
    way_of,
)
from linnaea.learning.amounts import look_up
from linnaea.learning.augmentations import AUGMENTATIONS
from linnaea.learning.losses import require_loss
from linnaea.learning.rungs import (
    Options,
    Step,
    require_one_loss,
    require_use_of_loss,
    steps_balanced,
    steps_for,
)
from linnaea.run import Run, now
from linnaea.runtime.arguments import DUPLICATES, require_count, require_one_of, require_positive, require_seed
from linnaea.runtime.clock import command_started
from linnaea.runtime.duration import parse_duration
from linnaea.runtime.plan import pick_device, pick_memory_format, pick_precision

logger = logging.getLogger("linnaea")


LOOKING_SHARE = 0.15  # of the time limit: when it has passed before the images were looked at, they are not


FINISHING_SHARE = 0.08  # of the time limit is kept for calibration, evaluation and the report


def train(
    data: str | Path | Dataset,
    *,
    out: str | Path | None = None,
    model: str = "auto",
    weights: str | Path = "auto",
    time_limit: str | float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    img_size: int | None = None,
    fit: str = "crop",
    max_pixels: int | None = None,
    duplicates: str = "near",
    split_by: str = "stratified",
    datasheet: str | Path | None = None,
    augment: Sequence[str] | None = None,
    balance: str | None = None,
    loss: str | None = None,
    coverage: float = 0.9,
    unsure_rate: float = 0.05,
    unfamiliar_rate: float = 0.05,
    ood: str = "auto",
    hold_out: Sequence[str] | None = None,
    aim: str | None = None,
    positive: str | None = None,
    risk: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    memory_format: str = "auto",
    resume: bool = False,
) -> Classifier:
    """Train a classifier on labelled images and leave the run, with all its evidence, in the folder `out`.

    `data` is what `linnaea.read` takes, or a dataset. `model` is "auto" for the ladder of rungs, or names of rungs
    and timm networks joined by commas; `weights` "auto", "none" or a safetensors file. `time_limit` is in seconds or
    like "10m" and holds for the whole command: each step of the ladder looks at it while it works, and learns from
    fewer images or for fewer epochs where time is short. `img_size` is in pixels (None: what the
    weights or the images suggest); `fit` crop, pad or stretch. Images of more than `max_pixels` (None: 50 megapixels)
    are not decoded. `duplicates` "near" or "exact" says which images the splits must keep together, `split_by`
    how these are made, see `linnaea.split`. `datasheet` is a file of what the owner knows about the data (None:
    `datasheet.toml` beside the images, if it is there). `augment` names augmentations (None: chosen by evidence),
    `balance` what keeps rare classes from being neglected (None: nothing), `loss` what is minimised where classes lie
    below groups (None: "per_level"). `coverage`, `unsure_rate` and `unfamiliar_rate` are shares in (0, 1). `ood` names
    the score by which images are unfamiliar ("auto": the blend; "none": no image is). `hold_out` names classes that
    are left out of everything but one figure: how many of their images are recognised as unknown. `aim` says what
    the thresholds are chosen for where there are two classes or several labels per image, such as "recall=0.95" (None:
    the likelier class, and the highest F1 of each label); `positive` which of two classes an aim is about (None: the
    second by name). `risk` is the share of wrong answers to expect at most where classes lie below groups, as answers
    roll up to groups for it (None: 0.1). `precision` and `memory_format` "auto" measure which formats are fastest here;
    fix the precision ("float32", "bfloat16") for runs that are to be repeated to the last digit. `resume` continues a
    run that was stopped, with the same arguments; another `aim` may be given. `out` None makes a new folder below
    `runs`. Raises DataError, UsageError or RunError, each saying how to mend it.
    """
    started = command_started()
    arguments = {name: value for name, value in locals().items() if name not in ("data", "started", "resume")}
    aims = Aims(coverage, unsure_rate, unfamiliar_rate, aim, risk)
    limit = parse_duration(time_limit)
    options = replace(_options(epochs, learning_rate, batch_size, augment), balance=balance, loss=loss)
    options = replace(options, device=pick_device(device), memory_format=pick_memory_format(memory_format), seed=seed)
    options = replace(options, precision=pick_precision(precision, options.device))
    SPLITTERS[split_by]
    require_one_of(DUPLICATES, "duplicates", duplicates)
    require_seed(seed)
    dataset = hold_out_of(data if isinstance(data, Dataset) else read(data), hold_out or ())
    dataset = with_positive(dataset, positive)
    require_score(ood, several=dataset.multilabel)
    require_thresholds(dataset.task, aim)
    require_taxonomy(dataset.task, risk, unsure_rate if unsure_rate != Aims.unsure_rate else None)
    require_one_loss(loss, balance)
    require_loss(loss, dataset.task)
    sheet = _datasheet(dataset, datasheet)
    steps, weight_notes = steps_for(model, weights)
    require_use_of_loss(loss, steps)
    steps, balance_notes = steps_balanced(steps, balance, auto=model == "auto")
    weight_notes += balance_notes
    size = picture_size(dataset, steps) if img_size is None else img_size
    recipe = recipe_for(dataset.paths, size, fit, max_pixels)
    frozen = freeze(dataset, arguments)
    folder = Path(out) if out is not None else find_unfinished(frozen) if resume else new_folder(dataset)
    with begun(folder, frozen, resume=resume, way=way_of(recipe, steps)) as run:
        run.update(seed=seed)
        run.note(*weight_notes)
        for note in weight_notes:
            logger.info(note)
        with timed(run, "decode, audit, split"):
            prepared = prepare(
                dataset,
                recipe,
                seed=seed,
                duplicates=duplicates,
                split_by=split_by,
                keep_splits=run.dataset() if _has_data(run) else None,
                look=_look(steps, recipe, seed, started, limit),
            )
            run.write_findings("audit", prepared.findings)
            run.write_dataset(prepared.dataset)
            if prepared.dataset.task == "binary":
                run.update(positive=prepared.dataset.classes[1])
            if sheet is not None:
                copy_datasheet(sheet, prepared.dataset, run.folder / FILE)
                run.note(*filter(None, [stale(sheet, dataset)]))
        job = examples_job(prepared, options, started + limit * (1 - FINISHING_SHARE) if limit else math.inf)
        if balance is not None:
            with timed(run, "balance"):
                job = balanced(job, run)
        with timed(run, "ladder"):
            choice = climb(run, steps, job, prepared.dataset, recipe)
        assert choice.result.classifier is not None
        run.update(
            chosen=choice.result.name,
            chosen_because=choice.because,
            plan=choice.result.classifier.provenance["plan"] | {"device": options.device},
        )
        classifier = conclude(choice.result, prepared, aims, run, ood=ood, deadline=job.deadline)
        run.update(status="finished", finished=now(), seconds=round(time.monotonic() - started, 1))
        write_card(run.folder)
    write_report(run.folder)
    return classifier


def _look(
    steps: Sequence[Step], recipe: Recipe, seed: int, started: float, limit: float | None
) -> Callable[[Inspection], Inspection]:
    """Look at the images as `audit` does, by the weights that will be trained with; left out where time is short.

    Under a time limit it is HOG and colours, which take a known time.
    """
    found = None if limit else next((step.weights for step in steps if step.weights is not None), None)

    def look(inspection: Inspection) -> Inspection:
        if limit and time.monotonic() - started > LOOKING_SHARE * limit:
            logger.info("Time is short: labels and looks of the images are not audited. `linnaea audit` does it.")
            return inspection
        return closer_look(found, recipe, seed)(inspection)

    return look


def _options(
    epochs: int | None, learning_rate: float | None, batch_size: int | None, augment: Sequence[str] | None
) -> Options:
    for name, count in {"epochs": epochs, "batch_size": batch_size}.items():
        if count is not None:
            require_count(name, count)
    if learning_rate is not None:
        require_positive("learning_rate", learning_rate)
    for name in augment or ():
        look_up(AUGMENTATIONS, name)
    return Options(epochs, learning_rate, batch_size, tuple(augment) if augment is not None else None)


def _datasheet(dataset: Dataset, given: str | Path | None) -> Datasheet | None:
    file = find_datasheet(dataset) if given is None else Path(given)
    return read_datasheet(file) if file is not None else None


def _has_data(run: Run) -> bool:
    return "dataset" in run.record()
