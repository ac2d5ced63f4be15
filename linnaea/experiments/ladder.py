"""The ladder: fit every rung, judge it on val with an interval, time it, and choose."""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Float32, Floats
from linnaea.classifier import Classifier, known_columns, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.dataset import Dataset
from linnaea.decisions import Policy
from linnaea.errors import BundleError, LinnaeaError, RunError
from linnaea.evidence import figure_of
from linnaea.evidence.metrics import metrics_for, scores_of
from linnaea.evidence.uncertainty import sample_of
from linnaea.experiments.balancing import augmentation_findings
from linnaea.learning.rungs import Fitted, Job, Step
from linnaea.models.embedding import embed
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.files import read_json, write_json
from linnaea.runtime.progress import working
from linnaea.statistics.intervals import REPLICATES
from linnaea.statistics.spread import Spread, left_out

FAILURES = (LinnaeaError, RuntimeError, AssertionError, TypeError, ValueError)  # what networks raise on odd sizes
TIMED = 64  # images by which speed is told where nothing else has to be embedded
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class RungResult:
    """One rung after its turn: the row for `ladder.csv` and, when it finished, its classifier and its answers on val.

    `val_features` and `train_features` are what the model made of those images, where that is known.
    """

    row: dict[str, Any]
    classifier: Classifier | None = None
    predictions: Predictions | None = None
    val_features: Float32 | None = None
    train_features: Float32 | None = None
    baseline: bool = False
    warnings: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The name of the step."""
        return str(self.row["rung"])


@dataclass(frozen=True)
class Choice:
    """The rung that was chosen, and why, in one sentence."""

    result: RungResult
    because: str
    rows: list[dict[str, Any]] = field(default_factory=list)


def climb(run: Run, steps: Sequence[Step], job: Job, dataset: Dataset, recipe: Recipe) -> Choice:
    """Fit and judge each step in turn until the deadline, and choose among those that finished.

    A rung that fails is recorded with its reason and the ladder goes on; raises LinnaeaError when none finished.
    """
    results: list[RungResult] = []
    for position, step in enumerate(steps):
        tried = len(job.trials)
        own = job if position == len(steps) - 1 else replace(job, deadline=_half_way(job))
        with working(step.name):
            done = _resume(run, step) or _climb_one(run, step, own, dataset, recipe, first=position == 0)
        results.append(done)
        run.write_rows("ladder.csv", [entry.row for entry in results])
        logger.info(_describe(done.row))
        for warning in done.warnings:
            logger.warning(f"{step.name}: {warning}")
        if len(job.trials) > tried:
            _write_trials(run, job, dataset)
    choice = choose(results)
    run.write_rows("ladder.csv", choice.rows)
    return choice


def _half_way(job: Job) -> float:
    """Half of the time left at the most for a step that is not the last: those after it want their turn."""
    return job.deadline if job.deadline == math.inf else time.monotonic() + job.seconds_left / 2


def _write_trials(run: Run, job: Job, dataset: Dataset) -> None:
    """Write down what was seen of augmentations, and warn of those that were requested against the evidence."""
    findings = augmentation_findings(job.trials.values(), dataset.classes, job.options.augmentations)
    run.write_findings("augmentations", findings)
    for finding in findings:
        if finding.severity == "warning":
            logger.warning(finding.summary)


def choose(results: Sequence[RungResult]) -> Choice:
    """The cheapest rung whose figure on val is within one standard error of the best rung's.

    Cost is the seconds that fitting took. The figure is the task's metric. The standard error is that of the paired
    difference, by the jackknife over images or groups: the one-standard-error rule (Breiman et al. 1984). A baseline,
    which does not look at the images, is chosen only when nothing else finished: it would win wherever one class is
    rare. Raises LinnaeaError when no rung finished.
    """
    finished = [entry for entry in results if entry.predictions is not None]
    if not finished:
        reasons = "; ".join(f"{entry.name}: {entry.row['note']}" for entry in results)
        raise LinnaeaError(f"no rung of the ladder finished ({reasons}).")
    candidates = [entry for entry in finished if not entry.baseline] or finished
    best = max(candidates, key=_value)
    without = _left_out(best)
    by_cost = sorted(candidates, key=lambda entry: float(entry.row["seconds"]))
    chosen = next(entry for entry in by_cost if _not_worse(entry, without - _left_out(entry), best))
    for entry in results:
        entry.row["chosen"] = "yes" if entry is chosen else ""
    return Choice(chosen, _because(chosen, best, len(candidates)), [entry.row for entry in results])


def _left_out(entry: RungResult) -> Floats:
    """The rung's figure without each part of the val images (B,), the same ones for every rung."""
    assert entry.predictions is not None
    scores, sample = scores_of(entry.predictions), sample_of(entry.predictions)
    metric = metrics_for(entry.predictions.task)[entry.predictions.rules.metric]
    return np.concatenate([metric(scores, weights) for weights in left_out(sample, REPLICATES, 0)])


def _value(entry: RungResult) -> float:
    """The rung's figure on val; 0 where it is not defined on these images."""
    return float(entry.row["value"] or 0)


def _not_worse(entry: RungResult, differences: Floats, best: RungResult) -> bool:
    """Whether the difference on all images is within the standard error told by those without each part of them."""
    defined = differences[~np.isnan(differences)]
    error = Spread.of_left_out(defined).error if len(defined) > 1 else 0.0
    return _value(best) - _value(entry) <= error + 1e-12


def _because(chosen: RungResult, best: RungResult, finished: int) -> str:
    if finished == 1:
        return f"{chosen.name} is the only finished rung that looks at the images."
    count, metric = chosen.row["n"], chosen.row["metric"]
    own, highest = _value(chosen), _value(best)
    if chosen is best:
        return (
            f"{chosen.name} has the highest {metric} on val, {highest:.1%} {_of(metric)} {count} images, and no "
            "cheaper rung comes within one standard error of it."
        )
    return (
        f"{chosen.name} is the cheapest rung within one standard error of the best: {metric} {own:.1%} on "
        f"{count} val images against {highest:.1%} for {best.name}."
    )


def _of(metric: str) -> str:
    """Between a figure and its images: an accuracy is a share of them."""
    return "of" if metric == "accuracy" else "on"


def _climb_one(run: Run, step: Step, job: Job, dataset: Dataset, recipe: Recipe, *, first: bool) -> RungResult:
    if job.seconds_left <= 0 and not first:
        return RungResult(_row(step, status="skipped", note="the time limit was reached"))
    started = time.perf_counter()
    own = replace(
        job,
        weights=step.weights,
        network=step.network,
        checkpoints=run.folder / "checkpoints" / step.name,
        on_epoch=lambda row: _on_epoch(run, step.name, row),
    )
    try:
        fitted = step.rung.fit(own)
    except FAILURES as error:
        kind = "" if isinstance(error, LinnaeaError) else f"{type(error).__name__}: "
        return RungResult(_row(step, status="failed", note=f"{kind}{error}", seconds=time.perf_counter() - started))
    seconds = time.perf_counter() - started
    classifier = Classifier(
        TorchScorer(fitted.model.cpu()),
        dataset.classes,
        dataset.task,
        recipe,
        policy=Policy(parents=dataset.tree.parents),
        provenance=_provenance(step, fitted),
    )
    features, speed = _timed_features(classifier, own.val.images, fitted.val_features)
    saved = fitted.known / speed
    val = dataset.split("val")
    predictions = classifier.answer(classifier.score_features(features), known_columns(val), [None] * len(val))
    figure = figure_of(predictions)
    row = _row(
        step,
        metric=own.task.metric,
        value=figure.value,
        lo=figure.lo,
        hi=figure.hi,
        n=len(val),
        seconds=seconds + saved,
        megabytes=fitted.model.megabytes,
        images_per_second=speed,
        note=" ".join([*fitted.warnings, *fitted.notes, *_on_cost(fitted.known, saved)]),
    )
    _keep(run, step, classifier, row, predictions)
    seen = (features, fitted.features)
    return RungResult(row, classifier, predictions, *seen, baseline=step.rung.baseline, warnings=fitted.warnings)


def _on_cost(known: int, seconds: float) -> list[str]:
    """That features an earlier run had kept are counted as if they had been computed."""
    if not known:
        return []
    told = f"The features of {known:,} images were in the cache; the {seconds:.1f} s it takes to"
    return [f"{told} compute them are counted."]


def _timed_features(
    classifier: Classifier, images: npt.NDArray[np.uint8], known: Float32 | None
) -> tuple[Float32, float]:
    """Features of the val images, and images per second; where they are known, by some of them."""
    embed(classifier.model, images[:TIMED])
    timed = images if known is None else images[:TIMED]
    started = time.perf_counter()
    features = embed(classifier.model, timed)
    speed = len(timed) / (time.perf_counter() - started)
    return (features if known is None else known), speed


def _row(step: Step, *, status: str = "finished", note: str = "", **figures: Any) -> dict[str, Any]:
    names = ("metric", "value", "lo", "hi", "n", "seconds", "megabytes", "images_per_second")
    return {
        "rung": step.name,
        **{name: figures.get(name) for name in names},
        "status": status,
        "chosen": "",
        "note": note,
    }


def _describe(row: dict[str, Any]) -> str:
    if row["status"] != "finished":
        return f"{row['rung']}: {row['status']}, {row['note']}"
    known = row["lo"] is not None
    interval = f" ({float(row['lo']):.1%} to {float(row['hi']):.1%})" if known else ""
    figure = f"{float(row['value'] or 0):.1%}{interval}"
    share = f"{figure} of" if row["metric"] == "accuracy" else f"{row['metric']} {figure} on"
    return f"{row['rung']}: {share} {row['n']} val images, {float(row['seconds']):.1f} s"


def _provenance(step: Step, fitted: Fitted) -> dict[str, Any]:
    weights = step.weights.provenance() if step.weights is not None else None
    return {"rung": step.name, "weights": weights, "plan": fitted.plan, "notes": list(fitted.notes)}


def _on_epoch(run: Run, name: str, row: dict[str, Any]) -> None:
    """Append an epoch to `history.csv`; after a resumed epoch, later rows of the broken-off try are dropped."""
    kept = [old for old in run.read_rows("history.csv") if old["rung"] != name or int(old["epoch"]) < row["epoch"]]
    run.write_rows("history.csv", [*kept, {"rung": name, **row}])
    (metric,) = (column for column in row if column.startswith("val_") and "loss" not in column)
    logger.info(
        f"{name}: epoch {row['epoch']}, {row['seconds']:.0f} s, training loss {row['train_loss']:.3f}, "
        f"{metric.replace('_', ' ')} {row[metric]:.1%}"
    )


def _keep(run: Run, step: Step, classifier: Classifier, row: dict[str, Any], predictions: Predictions) -> None:
    """Keep a finished rung, so that a resumed run need not fit it again."""
    folder = run.folder / "checkpoints" / step.name / "finished"
    classifier.save(folder)
    predictions.keep(folder / "val.parquet")
    write_json(folder / "rung.json", {"row": row})


def _resume(run: Run, step: Step) -> RungResult | None:
    folder = run.folder / "checkpoints" / step.name / "finished"
    if not (folder / "rung.json").exists():
        return None
    try:
        row, classifier = read_json(folder / "rung.json")["row"], load(folder)
        predictions = Predictions.read(folder / "val.parquet")
    except (BundleError, RunError, LookupError, TypeError) as error:
        logger.warning(f"{step.name} is fitted again, because what was saved cannot be used: {error}")
        return None
    return RungResult(row, classifier, predictions, baseline=step.rung.baseline)
