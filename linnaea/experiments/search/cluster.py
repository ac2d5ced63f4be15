"""Ray: trials at the same time, on the processors of this machine or of a cluster."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from linnaea.experiments.ray_cluster import cluster
from linnaea.experiments.search.book import Book, require_optuna
from linnaea.experiments.search.contract import Hunt
from linnaea.experiments.search.trying import Field, tried

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial


def side_by_side(hunt: Hunt, propose: "Callable[[Study, int], Trial]", most: int | None) -> None:
    """Attempt trials at the same time, one on each processor of the cluster; the folder of the run is shared.

    Each next one is proposed by what is known when a worker is free.
    """
    with cluster("tune") as ray:
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        remote = ray.remote(_tried)
        field = ray.put(replace(hunt.field, remembered={}))
        again = hunt.book.broken
        running: dict[Any, int] = {}
        while True:
            while len(running) < workers and (again or _wants(hunt, len(running), most)):
                number = again.pop(0) if again else hunt.book.propose(propose).number
                left = hunt.limits.until - time.monotonic()
                place = (hunt.book.file, hunt.book.study.study_name, number)
                running[remote.remote(field, place, left)] = number
            if not running:
                return
            ended, _ = ray.wait(list(running), num_returns=1)
            ray.get(ended)
            hunt.tidy()
            hunt.tell(running.pop(ended[0]))


def _wants(hunt: Hunt, running: int, most: int | None) -> bool:
    """Whether one more trial is to be begun."""
    limits = hunt.limits
    begun = len(hunt.book.entries) + running
    trials = min((value for value in (limits.trials, most) if value is not None), default=None)
    return (trials is None or begun < trials) and (begun == 0 or time.monotonic() < limits.until)


def _tried(field: Field, place: tuple[Any, str, int], seconds: float) -> None:
    """Attempt one trial in a worker."""
    torch.set_num_threads(1)
    require_optuna()
    file, name, number = place
    book = Book.join(file, name)
    tried(field, book, book.again(number), time.monotonic() + seconds)
