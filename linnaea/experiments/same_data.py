"""Whether the images of a run that is resumed are still those that it began with."""

from collections.abc import Sequence
from typing import Any

from linnaea.dataset import Dataset
from linnaea.errors import RunError
from linnaea.run import Run
from linnaea.runtime.words import counted


def kept_dataset(run: Run, given: Dataset) -> Dataset | None:
    """The dataset as a run that is resumed has it, with its splits; None where it did not get so far.

    Raises RunError, with the difference, where images were added or removed, or have other labels, since then. That
    their contents are the same is seen when they are read.
    """
    if "dataset" not in run.record():
        return None
    kept = run.dataset()
    differences = _differences(kept, given)
    if differences:
        raise RunError(
            f"{run.folder} cannot be resumed, because the data has changed since it began: {'; '.join(differences)}. "
            "Put it back as it was, or start a new run."
        )
    return kept


def _differences(kept: Dataset, given: Dataset) -> list[str]:
    before, now = _labels(kept), _labels(given)
    known, there = [{*labels, *(one.path for one in part.excluded)} for part, labels in ((kept, before), (given, now))]
    classes = [{name for labels in part.values() for name in labels} for part in (before, now)]
    new = sorted(classes[1] - classes[0] - set(kept.classes) - {str(one.label) for one in kept.excluded})
    moved = [name for name in before if name in now and sorted(before[name]) != sorted(now[name])]
    told = [
        _told(sorted(there - known), "is new", "are new"),
        _told(sorted(known - there), "is gone", "are gone"),
        _told(
            [f"{name} was {_shown(before[name])} and is now {_shown(now[name])}" for name in moved],
            "has another label",
            "have other labels",
        ),
        f"new classes: {', '.join(new)}" if new else "",
    ]
    return [sentence for sentence in told if sentence]


def _labels(dataset: Dataset) -> dict[str, Sequence[Any]]:
    return dict(zip(dataset.ids, (labels or () for labels in dataset.label_lists), strict=True))


def _told(found: Sequence[str], one: str, many: str) -> str:
    return f"{counted(len(found), 'image')} {one if len(found) == 1 else many} (first {found[0]})" if found else ""


def _shown(labels: Sequence[Any]) -> str:
    return ", ".join(map(str, labels)) or "without a label"
