"""The same step with other seeds: how much of a figure is the luck of the draw."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from linnaea.experiments.attempt import Attempted, Material, attempt
from linnaea.finding import Finding
from linnaea.learning.rungs import Job, Step
from linnaea.run import Run
from linnaea.runtime.progress import working
from linnaea.statistics.repeats import deviation, mean_over
from linnaea.task import TASKS

NAME = "seeds"
logger = logging.getLogger("linnaea")


def repeat(
    step: Step, chosen: Attempted, material: Material, run: Run, seeds: Sequence[int], job_for: Callable[[int], Job]
) -> Finding:
    """Attempt the chosen step with the other seeds as well, `job_for` each, and tell how its figure on val varies.

    What was chosen with the first seed stays chosen: to keep the luckiest would promise too much.
    """
    results = [chosen]
    for number, seed in enumerate(seeds[1:], 2):
        with working(f"seed {seed}, {number} of {len(seeds)}"):
            results.append(attempt(step, material, job_for(seed), run.folder / "checkpoints" / f"seed-{seed}"))
        logger.info(_told(step.name, _row(seed, results[-1])))
    finding = seeds_finding(step.name, seeds, results, material.task)
    run.write_findings(NAME, [finding])
    if finding.severity != "info":
        logger.warning(finding.summary)
    return finding


def with_seed(job: Job, seed: int) -> Job:
    """The job by another seed; what attempts by the first one remember is not shared."""
    return replace(job, options=replace(job.options, seed=seed), features={}, heads={}, trials={})


def seeds_finding(name: str, seeds: Sequence[int], results: Sequence[Attempted], task: str) -> Finding:
    """The mean of the figure on val over seeds, its interval and its spread."""
    rows = [_row(seed, done) for seed, done in zip(seeds, results, strict=True)]
    values = [row["value"] for row in rows if row["value"] is not None]
    images = len(results[0].predictions) if results[0].predictions is not None else 0
    mean = mean_over(values, images, "seed")
    lost = f" {len(rows) - len(values)} of them did not finish." if len(values) < len(rows) else ""
    about = "" if mean.lo is None else f" The interval is that of the mean over seeds on these {images} images."
    return Finding(
        NAME,
        f"{name} with {len(rows)} seeds: {TASKS[task].metric} on val {mean}.{_spread(values)}{lost}{about} The "
        f"classifier is that of seed {seeds[0]}, not the luckiest.",
        severity="warning" if lost else "info",
        count=images,
        figure=mean,
        rows=rows,
    )


def _spread(values: Sequence[float]) -> str:
    """How far the figure varies, in a sentence; nothing of fewer than two seeds."""
    if len(values) < 2:
        return ""
    if len(set(values)) == 1:
        return " It is the same with every one: nothing is left to chance, or too few images to see it."
    return f" It lies between {min(values):.3f} and {max(values):.3f}, standard deviation {deviation(values):.3f}."


def _row(seed: int, done: Attempted) -> dict[str, Any]:
    figure, cost = done.figure, done.cost
    return {
        "seed": seed,
        "status": done.status,
        "value": figure.value if figure is not None else None,
        "lo": figure.lo if figure is not None else None,
        "hi": figure.hi if figure is not None else None,
        "seconds": round(cost.seconds, 1) if cost is not None else None,
        "note": done.note if done.status != "finished" else "",
    }


def _told(name: str, row: dict[str, Any]) -> str:
    value = f"{row['value']:.1%}" if row["value"] is not None else f"{row['status']}, {row['note']}"
    return f"{name}, seed {row['seed']}: {value} on val"
