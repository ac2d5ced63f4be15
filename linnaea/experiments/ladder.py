"""The ladder: every step attempted in turn, and the cheapest chosen of those that are as good as the best."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from linnaea.arrays import Floats
from linnaea.errors import LinnaeaError
from linnaea.evidence.learning_curves import diagnose
from linnaea.evidence.metrics import metrics_for, scores_of
from linnaea.evidence.uncertainty import sample_of
from linnaea.experiments.attempt import Attempted, Material, attempt
from linnaea.experiments.balancing import augmentation_findings
from linnaea.experiments.fed_sheet import draw_fed
from linnaea.experiments.logs import NOWHERE, Logs
from linnaea.finding import Finding
from linnaea.learning.rungs import Job, Step
from linnaea.run import Run
from linnaea.runtime.progress import working
from linnaea.statistics.intervals import REPLICATES
from linnaea.statistics.spread import Spread, left_out
from linnaea.task import TASKS

HISTORY, CURVES = "history.csv", "learning_curves"
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Choice:
    """The attempt that was chosen, and why, in one sentence."""

    result: Attempted
    because: str


def climb(run: Run, steps: Sequence[Step], job: Job, material: Material, logs: Logs = NOWHERE) -> Choice:
    """Attempt each step in turn until the deadline, and choose among those that finished; `logs` are told as well.

    One that fails is recorded with its reason and the ladder goes on; raises LinnaeaError when none finished.
    """
    results: list[Attempted] = []
    tried = len(job.trials)
    show, tell = partial(_on_fed, run, logs, material.classes), partial(_on_epoch, run, logs)
    for step, done in attempts(steps, job, material, run.folder / "checkpoints", tell, show):
        results.append(done)
        write_ladder(run, results, material.task)
        if done.error is None or len(steps) > 1:  # the error itself tells of the only one
            logger.info(_describe(row_of(done, material.task)))
        for warning in done.warnings:
            logger.warning(f"{step.name}: {warning}")
        if len(job.trials) > tried:
            _write_trials(run, job)
            tried = len(job.trials)
        limited, searched = job.deadline < math.inf and not job.options.epochs, job.options.recipe.find_lr
        _write_diagnosis(run, step.name, images=len(material.val), limited=limited, searched=searched)
    choice = choose(results)
    write_ladder(run, results, material.task, choice.result)
    return choice


def attempts(
    steps: Sequence[Step],
    job: Job,
    material: Material,
    folder: Path,
    tell: Callable[[str, dict[str, Any]], None] = lambda step, row: None,
    show: Callable[[str, Tensor, Tensor], None] | None = None,
) -> Iterator[tuple[Step, Attempted]]:
    """Attempt each step in turn, below `folder`, until the deadline.

    `tell` is given its name and a row per epoch, `show` its name and the first batch as its network sees it.
    """
    for position, step in enumerate(steps):
        if job.seconds_left <= 0 and position:
            yield step, Attempted(step.name, "skipped", "the time limit was reached")
            continue
        own = job if position == len(steps) - 1 else replace(job, deadline=_half_way(job))
        with working(step.name):
            shown = None if show is None else partial(show, step.name)
            done = attempt(step, material, own, folder / step.name, partial(tell, step.name), shown)
        yield step, done


def _half_way(job: Job) -> float:
    """Half of the time left at the most for a step that is not the last: those after it want their turn."""
    return job.deadline if job.deadline == math.inf else time.monotonic() + job.seconds_left / 2


def _write_trials(run: Run, job: Job) -> None:
    """Write down what was seen of augmentations, and warn of those that were requested against the evidence."""
    findings = augmentation_findings(job.trials.values(), job.names, job.options.augmentations)
    run.write_findings("augmentations", findings)
    for finding in findings:
        if finding.severity == "warning":
            logger.warning(finding.summary)


def _write_diagnosis(run: Run, name: str, **known: Any) -> None:
    """Write down and say what the learning curves of a network show, where it was trained by epochs."""
    rows = [row for row in run.read_rows(HISTORY) if row["rung"] == name]
    if not rows:
        return
    found = diagnose(name, rows, **known)
    run.write_findings(CURVES, [*(one for one in run.findings(CURVES) if not _is_about(one, name)), found])
    logger.log(logging.INFO if found.severity == "info" else logging.WARNING, found.summary)


def _is_about(finding: Finding, name: str) -> bool:
    return any(row.get("network") == name for row in finding.rows)


def choose(results: Sequence[Attempted]) -> Choice:
    """The cheapest attempt whose figure on val is within one standard error of the best one's.

    Cost is the seconds that fitting took. The figure is the task's metric. The standard error is that of the paired
    difference, by the jackknife over images or groups: the one-standard-error rule (Breiman et al. 1984). A baseline,
    which does not look at the images, is chosen only when nothing else finished: it would win wherever one class is
    rare. Raises LinnaeaError when none finished.
    """
    finished = [entry for entry in results if entry.predictions is not None]
    if not finished:
        reasons = "; ".join(f"{entry.name}: {entry.note}" for entry in results)
        raise LinnaeaError(f"no rung of the ladder finished ({reasons}).")
    candidates = [entry for entry in finished if not entry.baseline] or finished
    best = max(candidates, key=_value)
    without = _left_out(best)
    by_cost = sorted(candidates, key=_seconds)
    chosen = next(entry for entry in by_cost if _not_worse(entry, without - _left_out(entry), best))
    floor = [entry for entry in finished if entry.baseline and _not_worse(entry, without - _left_out(entry), best)]
    return Choice(chosen, _because(chosen, best, results, floor))


def _left_out(entry: Attempted) -> Floats:
    """The figure without each part of the val images (B,), the same ones for every attempt."""
    assert entry.predictions is not None
    scores, sample = scores_of(entry.predictions), sample_of(entry.predictions)
    metric = metrics_for(entry.predictions.task)[entry.predictions.rules.metric]
    return np.concatenate([metric(scores, weights) for weights in left_out(sample, REPLICATES, 0)])


def _value(entry: Attempted) -> float:
    """The figure on val; 0 where it is not defined on these images."""
    return float(entry.figure.value or 0) if entry.figure is not None else 0.0


def _seconds(entry: Attempted) -> float:
    return entry.cost.seconds if entry.cost is not None else 0.0


def _not_worse(entry: Attempted, differences: Floats, best: Attempted) -> bool:
    """Whether the difference on all images is within the standard error told by those without each part of them."""
    defined = differences[~np.isnan(differences)]
    error = Spread.of_left_out(defined).error if len(defined) > 1 else 0.0
    return _value(best) - _value(entry) <= error + 1e-12


def _because(chosen: Attempted, best: Attempted, results: Sequence[Attempted], floor: Sequence[Attempted]) -> str:
    """Why it was chosen among `results`; `floor` are the baselines that are as good as the best."""
    looking = [entry for entry in results if entry.predictions is not None and not entry.baseline]
    if len(results) == 1:
        return f"{chosen.name} is the only rung that was asked for."
    if not looking:
        return f"{chosen.name} does not look at the images, and no rung that does has finished."
    if len(looking) == 1:
        return f"{chosen.name} is the only finished rung that looks at the images."
    rung = "rung that looks at the images" if floor else "rung"
    assert chosen.predictions is not None
    count, metric = len(chosen.predictions), chosen.predictions.rules.metric
    own, highest = _value(chosen), _value(best)
    if chosen is best:
        return (
            f"{chosen.name} has the highest {metric} on val, {highest:.1%} {_of(metric)} {count} images, and no "
            f"cheaper {rung} comes within one standard error of it."
        )
    return (
        f"{chosen.name} is the cheapest {rung} within one standard error of the best: {metric} {own:.1%} on "
        f"{count} val images against {highest:.1%} for {best.name}."
    )


def _of(metric: str) -> str:
    """Between a figure and its images: an accuracy is a share of them."""
    return "of" if metric == "accuracy" else "on"


def row_of(done: Attempted, task: str, *, chosen: bool = False) -> dict[str, Any]:
    """The row of an attempt in `ladder.csv`."""
    figure, cost = done.figure, done.cost
    finished = done.status == "finished"
    return {
        "rung": done.name,
        "metric": TASKS[task].metric if finished else None,
        "value": figure.value if figure is not None else None,
        "lo": figure.lo if figure is not None else None,
        "hi": figure.hi if figure is not None else None,
        "n": len(done.predictions) if done.predictions is not None else None,
        "seconds": cost.seconds if cost is not None else None,
        "megabytes": cost.megabytes if cost is not None and finished else None,
        "images_per_second": cost.images_per_second if cost is not None and finished else None,
        "status": done.status,
        "chosen": "yes" if chosen else "",
        "note": done.note,
    }


def write_ladder(run: Run, results: Sequence[Attempted], task: str, chosen: Attempted | None = None) -> None:
    """Write `ladder.csv`."""
    run.write_rows("ladder.csv", [row_of(entry, task, chosen=entry is chosen) for entry in results])


def _describe(row: dict[str, Any]) -> str:
    if row["status"] != "finished":
        return f"{row['rung']}: {row['status']}, {row['note']}"
    known = row["lo"] is not None
    interval = f" ({float(row['lo']):.1%} to {float(row['hi']):.1%})" if known else ""
    figure = f"{float(row['value'] or 0):.1%}{interval}"
    share = f"{figure} of" if row["metric"] == "accuracy" else f"{row['metric']} {figure} on"
    return f"{row['rung']}: {share} {row['n']} val images, {float(row['seconds']):.1f} s"


def _on_fed(run: Run, logs: Logs, classes: Sequence[str], name: str, images: Tensor, targets: Tensor) -> None:
    """Draw the first batch, as the network sees it."""
    logs.picture(name, "fed", draw_fed(run.folder, name, images, targets, classes))


def _on_epoch(run: Run, logs: Logs, name: str, row: dict[str, Any]) -> None:
    """Append an epoch to `history.csv`; after a resumed epoch, later rows of the broken-off try are dropped."""
    kept = [old for old in run.read_rows(HISTORY) if old["rung"] != name or int(old["epoch"]) < row["epoch"]]
    run.write_rows(HISTORY, [*kept, {"rung": name, **row}])
    logs.epoch(name, row)
    if row.get("note"):
        run.note(f"{name}, epoch {row['epoch']}: {row['note']}")
    (metric,) = (column for column in row if column.startswith("val_") and "loss" not in column)
    logger.info(
        f"{name}: epoch {row['epoch']}, {row['seconds']:.0f} s, training loss {row['train_loss']:.3f}, "
        f"{metric.replace('_', ' ')} {row[metric]:.1%}"
    )
