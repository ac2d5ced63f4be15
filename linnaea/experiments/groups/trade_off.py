"""What a fairness method costs and gains: the groups of a run, and the same training without the method."""

import logging
from dataclasses import replace

import numpy as np

from linnaea.evidence.fairness import judge_groups, slices_of
from linnaea.evidence.fairness.changing import ALL, Case
from linnaea.evidence.keeping import keep_figures
from linnaea.evidence.uncertainty import sample_of
from linnaea.experiments.attempt import Attempted, Material, attempt
from linnaea.experiments.groups.evaluation import NAME
from linnaea.experiments.groups.membership import FAIR_GROUP
from linnaea.experiments.groups.thresholds import judged_apart
from linnaea.finding import Finding
from linnaea.learning.rungs import Job, Step
from linnaea.predictions import Predictions
from linnaea.run import Run

TRADE_OFF = "fairness"
CHOSEN_BY_VAL = "Val chose the model: the figures of the test images stand beside."
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


def threshold_trade_off(run: Run, fair: str, by: str) -> Finding:
    """What thresholds for groups are worth on val images that they were not fitted to."""
    answers = judged_apart(run, fair, by)
    if answers is None:
        summary = (
            f"What {fair} gains and costs cannot be told on val: its images come from too few groups to fit the "
            "thresholds to some and judge them on others. The figures of the test images stand beside."
        )
        return Finding(TRADE_OFF, summary, "warning")
    apart = "The thresholds were fitted to four fifths of the val images and judged on the rest, in turn."
    return trade_off(fair, *answers, remark=apart)


def trade_off(method: str, plain: Predictions, fair: Predictions, *, remark: str = CHOSEN_BY_VAL) -> Finding:
    """The accuracy over all images and in the worst group, without a fairness method and with it, and what changed.

    Whole groups of images vary where the predictions have a `group`. The limits of what changed hold for all images and
    every group at once, because the worst group is picked by the same images; a change is only shown where flipping the
    signs of what changed hardly makes as much, corrected for their number.
    """
    names, places = np.unique([str(name) for name in plain.column(FAIR_GROUP)], return_inverse=True)
    case = Case(places.astype(np.int64), tuple(map(str, names)), sample_of(plain).groups)
    right = [(answers.answers == answers.targets).astype(np.float64) for answers in (plain, fair)]
    before, after = (case.worth(way, own) for way, own in zip(("without", method), right, strict=True))
    changes = case.changes(right[1] - right[0])
    everywhere, there, lowest = changes[ALL], changes[before["group"]], before["group"]
    summary = (
        f"With {method} the worst group of val has an accuracy of {_percent(after['worst'])} ({after['group']}), "
        f"without {_percent(before['worst'])} ({before['group']}); over all images it is {_percent(after['accuracy'])} "
        f"in place of {_percent(before['accuracy'])}. "
        f"{there.told(f'in {lowest}, the worst group without it,')} {everywhere.told('over all images')} {remark}"
    )
    after |= {f"change_{key}": value for key, value in everywhere.to_json().items()}
    after |= {f"change_there_{key}": value for key, value in there.to_json().items()}
    loses = there.shown and there.value < 0
    return Finding(TRADE_OFF, summary, "warning" if loses else "info", len(plain), rows=[before, after])


def _percent(share: object) -> str:
    return f"{100 * float(str(share)):.1f} %"
