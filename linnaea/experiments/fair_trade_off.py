"""What a fairness method costs and gains: the groups of a run, and the same training without the method."""

import logging
from dataclasses import replace

import numpy as np

from linnaea.evidence.fairness import judge_groups, slices_of
from linnaea.evidence.keeping import keep_figures
from linnaea.experiments.attempt import Attempted, Material, attempt
from linnaea.experiments.fair_groups import FAIR_GROUP, FEWEST
from linnaea.experiments.group_evaluation import NAME
from linnaea.finding import Finding
from linnaea.learning.rungs import Job, Step
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.statistics.between_groups import largest_difference, means_of

TRADE_OFF = "fairness"
logger = logging.getLogger("linnaea")


def write_groups(run: Run) -> None:
    """Judge the groups of the run's own evaluation, whose predictions lie there: no further look at the images."""
    predictions = run.predictions(run.judged_on)
    by = str(run.record()["arguments"].get("fair_by") or FAIR_GROUP)
    names = sorted(set(map(str, predictions.column(FAIR_GROUP))))
    if len(names) < 2:
        run.note(f"All images that the run is judged on belong to the group {names[0]}: no groups are compared.")
        return
    (slices,) = slices_of({by: predictions.column(FAIR_GROUP)}, [by])
    told = judge_groups(predictions, [slices])
    keep_figures(run.folder, NAME, told.figures, told.findings)
    for finding in told.findings:
        if finding.name == "worst_group":
            logger.log(logging.INFO if finding.severity == "info" else logging.WARNING, finding.summary)


def write_trade_off(run: Run, told: Finding | None) -> None:
    """Write down what a method costs and gains: `fairness.json`."""
    if told is not None:
        run.write_findings(TRADE_OFF, [told])
        logger.info(told.summary)


def measured_trade_off(run: Run, step: Step, chosen: Attempted, material: Material, job: Job) -> Finding | None:
    """Fit the chosen step without the method as well, and tell what either is worth on val; None where that fails."""
    options = replace(job.options, fair=None)
    place = run.folder / "checkpoints" / f"{step.name}-without-{str(job.options.fair).partition(':')[0]}"
    plain = attempt(step, material, replace(job, options=options), place)
    if plain.predictions is None or chosen.predictions is None:
        run.note(f"What --fair costs is not known: {step.name} without it failed ({plain.note}).")
        return None
    return trade_off(str(job.options.fair), plain.predictions, chosen.predictions)


def trade_off(method: str, plain: Predictions, fair: Predictions) -> Finding:
    """The accuracy over all images and in the worst group, without a fairness method and with it."""
    rows = [_worth(way, answers) for way, answers in (("without", plain), (method, fair))]
    before, after = rows
    summary = (
        f"With {method} the worst group of val has an accuracy of {_percent(after['worst'])} ({after['group']}), "
        f"without {_percent(before['worst'])} ({before['group']}); over all images it is {_percent(after['accuracy'])} "
        f"in place of {_percent(before['accuracy'])}. Val chose the model: the figures of the test images stand beside."
    )
    return Finding(TRADE_OFF, summary, count=len(plain), rows=rows)


def _worth(way: str, answers: Predictions) -> dict[str, object]:
    names, places = np.unique([str(name) for name in answers.column(FAIR_GROUP)], return_inverse=True)
    right = (answers.answers == answers.targets).astype(np.float64)
    every = means_of(right, np.zeros(len(right), dtype=np.int64), 1)
    groups = means_of(right, places.astype(np.int64), len(names))
    large = np.where(groups.images >= min(FEWEST, groups.images.max()), groups.value, np.nan)
    worst = int(np.nanargmin(large))
    return {
        "way": way,
        "accuracy": float(every.value[0]),
        "accuracy_lo": float(every.lo[0]),
        "accuracy_hi": float(every.hi[0]),
        "worst": float(groups.value[worst]),
        "worst_lo": float(groups.lo[worst]),
        "worst_hi": float(groups.hi[worst]),
        "group": str(names[worst]),
        "gap": largest_difference(groups)[0],
        "n": len(right),
    }


def _percent(share: object) -> str:
    return f"{100 * float(str(share)):.1f} %"
