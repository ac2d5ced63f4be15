"""What a run writes down about augmentations that were tried and classes that were balanced."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from linnaea.delivery.sheet import Strip, write_sheet
from linnaea.finding import Estimate, Finding
from linnaea.learning.examples import Examples
from linnaea.learning.rungs import Job, with_pictures
from linnaea.learning.rungs.guard import described
from linnaea.learning.trials import Trial
from linnaea.run import Run
from linnaea.statistics.paired import bonett_price

logger = logging.getLogger("linnaea")
SHOWN = 4
MOST_STRIPS = 8


def augmentation_findings(
    trials: Iterable[Trial], classes: Sequence[str], asked: Sequence[str] | None = None
) -> list[Finding]:
    """A finding per augmentation: what learning from it costs, with its interval, and which classes it mixes up.

    A warning is due where one was `asked` for against the evidence; others (None: all) were left out.
    """
    return [_of_trial(trial, classes, kept=trial.name in (asked or ())) for trial in trials]


def _of_trial(trial: Trial, classes: Sequence[str], *, kept: bool) -> Finding:
    verdict = "The evidence is against" if trial.against else "There is no evidence against"
    outcome = f" It was {'kept, as requested' if kept else 'left out'}." if trial.against else ""
    limits = bonett_price(trial.won, trial.lost, trial.n)
    rows = [
        {
            "class": classes[item.truth],
            "taken_for": classes[item.taken_for],
            "count": item.count,
            "n": item.n,
            "share": round(item.share, 4),
        }
        for item in trial.confusions
    ]
    return Finding(
        trial.name,
        f"{verdict} {described(trial, classes)}.{outcome}",
        severity="warning" if trial.against and kept else "info",
        figure=Estimate(trial.cost, *limits, trial.n, "Bonett and Price, paired"),
        rows=rows,
    )


def balance_finding(before: Job, after: Job, classes: Sequence[str]) -> Finding:
    """The training images of each class, generated ones included, and what balancing does to probabilities."""
    balance = before.balance
    made = np.bincount(after.train.targets, minlength=len(classes)) - balance.counts
    rows = [
        {"class": name, "images": int(count), **({"made": int(more)} if made.any() else {})}
        for name, count, more in zip(classes, balance.counts, made, strict=True)
    ]
    return Finding(balance.name, " ".join(balance.notes), count=int(made.sum()), rows=rows)


def balanced(job: Job, run: Run) -> Job:
    """The job with the images its balancer makes, if it does; writes down what it is about to do.

    `findings/balance.json` has the counts, `synthetic.png` shows made images beside real ones.
    """
    more = with_pictures(job)
    finding = balance_finding(job, more, job.names)
    run.write_findings("balance", [finding])
    made = Examples(more.train.images[len(job.train) :], more.train.targets[len(job.train) :])
    if len(made):
        strips = _strips(job.train, made, job.names)
        write_sheet(run.folder / "synthetic.png", f"Made by {job.balance.name}", ["real", "", "", "", "made"], strips)
        logger.info(f"{len(made)} images were generated: look at {run.folder / 'synthetic.png'}.")
    return more


def _strips(real: Examples, made: Examples, names: Sequence[str]) -> list[Strip]:
    """Real and generated images of the classes with the fewest, four of each."""
    rarest = sorted(np.unique(made.targets).tolist(), key=lambda number: int((real.targets == number).sum()))
    return [
        Strip(
            names[number],
            np.concatenate(
                [_filled(part.images[np.flatnonzero(part.targets == number)[:SHOWN]]) for part in (real, made)]
            ),
        )
        for number in rarest[:MOST_STRIPS]
    ]


def _filled(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Four images, white where there are fewer."""
    white = np.full((SHOWN - len(images), *images.shape[1:]), 255, dtype=np.uint8)
    return np.concatenate([images, white])
