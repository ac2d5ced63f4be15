"""`train`: read, decode, audit, split, climb the ladder, calibrate, evaluate, report."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Integers
from linnaea.classifier import Classifier, known_columns
from linnaea.data.audit import Inspection
from linnaea.data.datasheet import FILE, Datasheet, copy_datasheet, find_datasheet, read_datasheet, stale
from linnaea.data.images.greys import recipe_for
from linnaea.data.images.pixels import Recipe, rows_of, usual_side
from linnaea.data.sources import read
from linnaea.data.splits import SPLITTERS
from linnaea.dataset import Dataset
from linnaea.delivery.card import write_card
from linnaea.delivery.report import write_report
from linnaea.errors import UsageError
from linnaea.evidence import write_evaluation
from linnaea.evidence.calibration import Aims, calibrate_with_findings
from linnaea.evidence.openset import Known, fit_familiarity, require_score
from linnaea.evidence.roll_up import require_taxonomy
from linnaea.evidence.thresholds import require_thresholds
from linnaea.finding import Finding
from linnaea.learning.amounts import look_up
from linnaea.learning.augmentations import AUGMENTATIONS
from linnaea.learning.losses import with_loss
from linnaea.learning.rungs import Job, Options, Step, require_one_loss, steps_balanced, steps_for
from linnaea.learning.training import Examples
from linnaea.models.embedding import embed
from linnaea.models.feature_cache import embed_once
from linnaea.pipeline.auditing import closer_look
from linnaea.pipeline.balancing import balanced
from linnaea.pipeline.beginning import (
    begun,
    find_unfinished,
    freeze,
    new_folder,
    way_of,
    with_positive,
)
from linnaea.pipeline.ladder import RungResult, climb
from linnaea.pipeline.preparation import Prepared, prepare
from linnaea.pipeline.strangers import held_out, judge_held_out
from linnaea.pipeline.strangers import hold_out as hold_out_of
from linnaea.predictions import Predictions
from linnaea.run import NO_TEST, Run, now
from linnaea.runtime.arguments import DUPLICATES, require_count, require_one_of, require_positive, require_seed
from linnaea.runtime.clock import command_started
from linnaea.runtime.duration import parse_duration
from linnaea.runtime.plan import pick_device, pick_memory_format, pick_precision
from linnaea.runtime.progress import working
from linnaea.task import TASKS, Task

logger = logging.getLogger("linnaea")
FAMILIARITY_IMAGES, FEWEST_FAMILIARITY_IMAGES = 2_000, 200
LOOKING_SHARE = 0.15  # of the time limit: when it has passed before the images were looked at, they are not
FINISHING_SHARE = 0.08  # of the time limit is kept for calibration, evaluation and the report
SIZE_FROM_SCRATCH = (32, 128)


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
    task_of(dataset, loss)
    sheet = _datasheet(dataset, datasheet)
    steps, weight_notes = steps_for(model, weights)
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
        classifier = finish(choice.result, prepared, aims, run, ood=ood, deadline=job.deadline)
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


def finish(
    result: RungResult,
    prepared: Prepared,
    aims: Aims,
    run: Run,
    *,
    ood: str = "auto",
    deadline: float = math.inf,
) -> Classifier:
    """Fit familiarity by the score `ood` on training features and calibration on val, evaluate, and save the bundle.

    No image is embedded twice: the features that the ladder made are used again. Familiarity is fitted on fewer images
    where not all can be embedded before the `deadline`, a time of `time.monotonic`, and the test images as well.
    """
    assert result.classifier is not None, "only a finished rung is chosen"
    classifier, targets = result.classifier, prepared.dataset.targets
    val = prepared.rows("val")
    with timed(run, "calibrate"):
        rows = _familiarity_rows(prepared, _affordable(result, prepared, deadline))
        features = _features(result, prepared, rows)
        val_features = result.val_features
        if val_features is None:
            val_features = embed(classifier.model, prepared.decoded.images[val])
        familiarity = fit_familiarity(classifier.model, features, targets[rows], fresh=val_features, name=ood)
        classifier = classifier.with_(familiarity=familiarity)
        logits, _, scores = classifier.score_features(val_features)
        try:
            classifier, told = calibrate_with_findings(classifier, logits, scores, targets[val], aims)
        except UsageError as error:
            raise UsageError(f"{error} With --resume and another --aim, finished training is kept.") from None
        _tell_thresholds(run, told)
        record = run.record()
        facts = {
            "linnaea": record["linnaea"],
            "dataset": record["dataset"]["fingerprint"],
            "trained": record["started"],
        } | ({"positive": classifier.classes[1]} if classifier.task == "binary" else {})
        classifier = classifier.with_(provenance={**classifier.provenance, **facts, "run": run.folder.name})
        classifier.save(run.model_folder)
    with timed(run, "evaluate"):
        seen = val_features
        answers = _evaluate(classifier, seen, prepared, run, "val")
        test = prepared.rows("test")
        if len(test):
            run.count_test("train")
            fixed = result.train_features is not None
            seen = (embed_once if fixed else embed)(classifier.model, prepared.decoded.images[test])
            answers = _evaluate(classifier, seen, prepared, run, "test")
        else:
            run.note(NO_TEST)
            logger.warning(NO_TEST)
    if (held := held_out(prepared.dataset)) is not None:
        with timed(run, "open set"):
            known = Known.of(classifier.model, features, targets[rows], val_features)
            judge_held_out(run, classifier, held, answers, seen, known)
    return classifier


def _tell_thresholds(run: Run, found: list[Finding]) -> None:
    """Write down what was found about thresholds, and say it where there are any."""
    if found:
        run.write_findings("thresholds", found)
    for finding in found:
        logger.log(logging.INFO if finding.severity == "info" else logging.WARNING, finding.summary)


def _affordable(result: RungResult, prepared: Prepared, deadline: float) -> int:
    """How many training images can be embedded in time, of the 2,000 that familiarity is fitted on at the most."""
    if deadline == math.inf or result.train_features is not None:
        return FAMILIARITY_IMAGES
    seconds = deadline - time.monotonic()
    in_time = int(seconds * float(result.row["images_per_second"])) - len(prepared.rows("test"))
    return max(FEWEST_FAMILIARITY_IMAGES, min(FAMILIARITY_IMAGES, in_time))


def _familiarity_rows(prepared: Prepared, most: int) -> Integers:
    rows = prepared.rows("train")
    return rows if len(rows) <= most else np.sort(np.random.default_rng(0).permutation(rows)[:most])


def _features(result: RungResult, prepared: Prepared, rows: Integers) -> npt.NDArray[np.float32]:
    """Features of these training rows, from the ladder where it has them."""
    assert result.classifier is not None
    if result.train_features is not None:
        return result.train_features[np.searchsorted(prepared.rows("train"), rows)]
    return embed(result.classifier.model, prepared.decoded.images[rows])


def _evaluate(
    classifier: Classifier, features: npt.NDArray[np.float32], prepared: Prepared, run: Run, name: str
) -> Predictions:
    rows = prepared.rows(name)
    part = prepared.dataset.take(rows.tolist()).with_unreadable(name)
    columns = known_columns(part)
    reasons = {entry.path: entry.reason for entry in prepared.dataset.excluded}
    lost = [reasons[path] for path in part.ids[len(rows) :]]
    scores = [_lengthened(column, len(lost)) for column in classifier.score_features(features)]
    failed = [*[None] * len(rows), *lost]
    answers = classifier.answer(scores[0], scores[1], scores[2], columns, failed)
    write_evaluation(answers, run.folder, name, classifier.policy)
    return answers


def _lengthened(scores: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Rows of zeros after the scores, for images that were not read and get no answer."""
    return np.concatenate([scores, np.zeros((count, *scores.shape[1:]), dtype=scores.dtype)])


def examples_job(prepared: Prepared, options: Options, deadline: float) -> Job:
    """The training and the val images of a prepared dataset, as rungs take them."""

    def examples(name: str) -> Examples:
        rows = prepared.rows(name)
        return Examples(rows_of(prepared.decoded.images, rows), prepared.dataset.targets[rows])

    dataset, most = prepared.dataset, FAMILIARITY_IMAGES
    return Job(
        examples("train"),
        examples("val"),
        len(dataset.classes),
        task_of(dataset, options.loss),
        options,
        names=dataset.classes,
        deadline=deadline,
        afterwards=len(prepared.rows("val")) + len(prepared.rows("test")) + len(_familiarity_rows(prepared, most)),
    )


def task_of(dataset: Dataset, loss: str | None = None) -> Task:
    """The task of a dataset, with the loss of this name or its usual one; raises UsageError for one of other tasks."""
    return with_loss(TASKS[dataset.task], loss, dataset.tree)


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


def picture_size(dataset: Dataset, steps: Sequence[Step]) -> int:
    """The size of the weights' images; without weights, that of the images, from 32 to 128, by steps of 32."""
    sizes = [step.weights.size for step in steps if step.weights is not None]
    if sizes:
        return max(sizes)
    smallest, largest = SIZE_FROM_SCRATCH
    usual = usual_side(dataset.paths) or smallest
    return int(min(largest, max(smallest, math.ceil(usual / 32) * 32)))


def _datasheet(dataset: Dataset, given: str | Path | None) -> Datasheet | None:
    file = find_datasheet(dataset) if given is None else Path(given)
    return read_datasheet(file) if file is not None else None


def _has_data(run: Run) -> bool:
    return "dataset" in run.record()


@contextmanager
def timed(run: Run, stage: str) -> Iterator[None]:
    """Record in run.json how long a stage takes, and say meanwhile what is being done."""
    started = time.perf_counter()
    with working(stage):
        yield
    run.timed(stage, time.perf_counter() - started)
