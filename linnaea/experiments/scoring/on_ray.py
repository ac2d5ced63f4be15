"""Parts of a scoring side by side on the workers of a ray cluster, by ray's data library.

The folder of the parts, the classifier and the images lie where every machine of the cluster finds them. A part that a
killed worker was at is given to another one; a part is one file, so it is there once however often it was made.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from linnaea.classifier.signature import Trust
from linnaea.errors import RunError
from linnaea.experiments.finished_run import finished_classifier, placed
from linnaea.experiments.ray_cluster import cluster
from linnaea.experiments.scoring.job import IMAGES, Job
from linnaea.experiments.scoring.listing import Listing
from linnaea.experiments.scoring.parts import answered
from linnaea.runtime.containers import let_go


def side_by_side(job: Job, missing: Sequence[int], trust: Trust) -> Iterator[int]:
    """Make the missing parts on as many workers as the cluster has processors; the number of each that is there.

    Raises MissingExtraError where ray's data library is not installed.
    """
    if not missing:
        return
    with cluster("data") as ray:
        data = ray.data
        workers = min(len(missing), max(1, int(ray.cluster_resources().get("CPU", 1))))
        _quiet(data)
        rows = data.from_items([{"part": number} for number in missing], override_num_blocks=len(missing))
        scored = rows.map_batches(
            Worker,
            fn_constructor_args=(job, trust),
            batch_size=1,
            batch_format="numpy",
            num_cpus=1,
            compute=data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
        )
        for row in scored.iter_rows():
            yield int(row["part"])


class Worker:
    """A process of the cluster with the classifier in it, which makes one part after the other."""

    def __init__(self, job: Job, trust: Trust) -> None:
        if not (job.folder / IMAGES).is_file():
            raise RunError(
                f"{job.folder} is not there on {os.uname().nodename}: expected a folder that all machines share."
            )
        self.job, self.listing = job, Listing.read(job.folder / IMAGES)
        classifier = finished_classifier(job.classifier, trust)
        self.classifier = placed(classifier, job.asked.max_pixels, job.asked.device)
        if self.classifier.scorer.gradients:
            import torch

            torch.set_num_threads(1)  # as many workers as processors

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Make the parts of a batch, and name them."""
        for number in batch["part"].tolist():
            answered(self.job, number, self.listing, self.classifier)
            let_go()
        return {"part": batch["part"]}


def _quiet(data: Any) -> None:
    """Without bars of its own: how far the scoring is, is told once."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
