"""The groups that a training is to be fair to: a column of the dataset, which the run keeps."""

import logging
from collections.abc import Sequence

import numpy as np

from linnaea.arrays import Integers
from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.evidence.fairness import require_columns, slices_of
from linnaea.learning.amounts import look_up
from linnaea.learning.fairness import FAIRNESS
from linnaea.learning.rungs import Step

FAIR_GROUP = "fair_group"
FEWEST = 10
logger = logging.getLogger("linnaea")


def with_fair_groups(dataset: Dataset, fair: str | None, by: str | None, *, clashing: Sequence[str] = ()) -> Dataset:
    """The dataset with a column `fair_group`, the group that each image belongs to by the column `by`.

    Raises UsageError for a method without a column or the reverse, for labels that it is not made for, and beside the
    options that are `clashing`, which say how images count as well.
    """
    if fair is None and by is None:
        return dataset
    if fair is None or by is None:
        given, lacks = ("--fair", "--fair-by COLUMN") if by is None else ("--fair-by", "--fair METHOD")
        raise UsageError(f"{given} was given without {lacks}: give both, the method and the groups, or neither.")
    look_up(FAIRNESS, fair)
    if dataset.multilabel:
        raise UsageError(f"the fairness method {fair!r} needs one label per image, and {dataset.root} has several.")
    if clashing:
        raise UsageError(
            f"the fairness method {fair!r} says how images count, and so does {', '.join(clashing)}: leave one of them "
            "out."
        )
    names = [*dataset.metadata, *(["group"] if dataset.has("group") else [])]
    require_columns([by], names, f"the images of {dataset.root}")
    (slices,) = slices_of({by: dataset.column(by)}, [by], FEWEST)
    if slices.note:
        logger.info(slices.note)
    return dataset.with_column(FAIR_GROUP, [slices.names[place] for place in slices.places.tolist()])


def groups_in(dataset: Dataset) -> Integers | None:
    """The number of each image's group (N,); None where a training is not asked to be fair."""
    if not dataset.has(FAIR_GROUP):
        return None
    return np.unique([str(name) for name in dataset.column(FAIR_GROUP)], return_inverse=True)[1].astype(np.int64)


def require_fair_steps(fair: str | None, steps: Sequence[Step], *, auto: bool) -> tuple[list[Step], list[str]]:
    """The steps that can learn so, and notes on those left out, which only the automatic ladder may leave out."""
    if fair is None or look_up(FAIRNESS, fair)[0].acts_on == "thresholds":
        return list(steps), []
    unfit = [step for step in steps if not step.rung.baseline and "weights" not in step.rung.balances]
    fit = [step for step in steps if step not in unfit]
    if (unfit and not auto) or all(step.rung.baseline for step in fit):
        name = (unfit or steps)[0].name
        raise UsageError(
            f"{name} cannot weigh images, which the fairness method {fair!r} does: choose a network, hog, or a "
            "pipeline with a linear head."
        )
    return fit, [f"{step.name} is left out of the ladder: it cannot weigh images, as {fair} does." for step in unfit]
