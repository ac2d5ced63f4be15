"""A prepared dataset as the rungs of the ladder take it."""

import math
from collections.abc import Sequence

import numpy as np

from linnaea.arrays import Integers
from linnaea.data.images.pixels import rows_of, usual_side
from linnaea.dataset import Dataset
from linnaea.experiments.preparation import Prepared
from linnaea.learning.examples import Examples
from linnaea.learning.rungs import Job, Options, Step
from linnaea.task import TASKS

SIZE_FROM_SCRATCH = (32, 128)
FAMILIARITY_IMAGES = 2_000  # that it is fitted on, at the most


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
        TASKS[dataset.task],
        options,
        names=dataset.classes,
        tree=dataset.tree,
        deadline=deadline,
        afterwards=len(prepared.rows("val")) + len(prepared.rows("test")) + len(familiarity_rows(prepared, most)),
    )


def picture_size(dataset: Dataset, steps: Sequence[Step]) -> int:
    """The size of the weights' images; without weights, that of the images, from 32 to 128, by steps of 32."""
    sizes = [step.weights.size for step in steps if step.weights is not None]
    if sizes:
        return max(sizes)
    smallest, largest = SIZE_FROM_SCRATCH
    usual = usual_side(dataset.paths) or smallest
    return int(min(largest, max(smallest, math.ceil(usual / 32) * 32)))


def familiarity_rows(prepared: Prepared, most: int) -> Integers:
    """The training rows that familiarity is fitted on: `most` of them, always the same."""
    rows = prepared.rows("train")
    return rows if len(rows) <= most else np.sort(np.random.default_rng(0).permutation(rows)[:most])
