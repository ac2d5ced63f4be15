"""Searches whose trials come one after the other: by chance, by what was learnt from earlier ones, point by point."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from linnaea.experiments.search.contract import SEARCHES, Hunt
from linnaea.experiments.search.trying import tried

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import Trial

STARTING = 10  # trials by chance before a search learns from them; a third of them where there are few


@SEARCHES.register("random", title="Random search", meaning="Each trial is drawn by chance.", order=2)
def search_at_random(hunt: Hunt) -> None:
    """Bergstra and Bengio 2012."""
    from optuna.samplers import RandomSampler

    _one_by_one(hunt, _sampled(lambda number: RandomSampler(seed=hunt.seed_of(number))))


@SEARCHES.register(
    "bayes", title="Bayesian search", meaning="Trials are drawn where earlier ones were good (TPE).", order=1
)
def search_by_bayes(hunt: Hunt) -> None:
    """Tree-structured Parzen estimators (Bergstra et al. 2011), after some trials by chance."""
    from optuna.samplers import TPESampler

    trials = hunt.limits.trials
    first = STARTING if trials is None else max(2, min(STARTING, trials // 3))
    _one_by_one(hunt, _sampled(lambda number: TPESampler(seed=hunt.seed_of(number), n_startup_trials=first)))


@SEARCHES.register("grid", title="Grid search", meaning="Every combination of the points of the space.", order=3)
def search_grid(hunt: Hunt) -> None:
    """In an order drawn by the seed, so that a search that is cut short has seen all corners."""
    points = hunt.space.grid
    random.Random(hunt.seed).shuffle(points)

    def propose(study: "Study", number: int) -> "Trial":
        study.enqueue_trial(dict(points[number]))
        return study.ask()

    _one_by_one(hunt, propose, most=len(points))


def _sampled(sampler: "Callable[[int], BaseSampler]") -> "Callable[[Study, int], Trial]":
    """Trials that a sampler draws, made anew for each one: what it draws depends on the earlier ones alone."""

    def propose(study: "Study", number: int) -> "Trial":
        study.sampler = sampler(number)
        return study.ask()

    return propose


def _one_by_one(hunt: Hunt, propose: "Callable[[Study, int], Trial]", most: int | None = None) -> None:
    if hunt.on == "ray":
        from linnaea.experiments.search.cluster import side_by_side

        side_by_side(hunt, propose, most)
        return
    while not hunt.limits.over(hunt.book) and (most is None or len(hunt.book.entries) < most):
        trial = hunt.book.begin(propose)
        tried(hunt.field, hunt.book, trial, hunt.limits.until)
        hunt.tidy()
        hunt.tell(trial.number)
