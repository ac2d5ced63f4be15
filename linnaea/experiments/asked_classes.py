"""Classes as the user wants them: some held out as unknown, one of two positive."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError, UsageError, suggest
from linnaea.task import infer_task

REASON = "held out as an unknown class"


def hold_out(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The dataset without the classes of these names; their images are left out with the reason, and their label.

    Raises UsageError for several labels per image and a name that is not a class, DataError when fewer than two classes
    remain.
    """
    if not names:
        return dataset
    if dataset.multilabel:
        raise UsageError(
            f"hold_out is {', '.join(names)}, but images of {dataset.root} may show several classes: one that is left "
            "out may appear in an image beside others. Give a folder of other images to `evaluate --unknown`."
        )
    for name in names:
        if name not in dataset.classes:
            known = ", ".join(dataset.classes)
            raise UsageError(f"unknown class {name!r} to hold out: one of {known}.{suggest(name, dataset.classes)}")
    classes = tuple(name for name in dataset.classes if name not in names)
    if len(classes) < 2:
        raise DataError(
            f"{dataset.root} has {len(dataset.classes)} classes: without {', '.join(names)} {len(classes)} would be "
            "left, and at least two are needed."
        )
    held = set(names)
    gone = [Excluded(path, REASON) for path, label in zip(dataset.ids, dataset.labels, strict=True) if label in held]
    return replace(dataset.without(gone), classes=classes, task=infer_task(classes, dataset.taxonomy))


def held_out(dataset: Dataset) -> Dataset | None:
    """The images of the classes that were held out, with their labels; None where there are none."""
    entries = [entry for entry in dataset.excluded if entry.reason == REASON and entry.label not in dataset.classes]
    if not entries:
        return None
    labels = [str(entry.label) for entry in entries]
    table = pa.table({"path": [entry.path for entry in entries], "label": labels})
    classes = tuple(dict.fromkeys(labels))
    return Dataset(table, classes, infer_task(classes), dataset.root)


def with_positive(dataset: Dataset, positive: str | None) -> Dataset:
    """The dataset with `positive` as the second of its two classes, which is what aims and curves are about.

    Raises UsageError for another number of classes, and for a class that is none of them.
    """
    if positive is None:
        return dataset
    if dataset.task != "binary":
        raise UsageError(
            f"positive is {positive!r}, but {dataset.root} has {len(dataset.classes)} classes and the task "
            f"{dataset.task}: only one of two classes can be the positive class; leave it out."
        )
    if positive not in dataset.classes:
        known = ", ".join(dataset.classes)
        raise UsageError(f"unknown class {positive!r}: one of {known}.{suggest(positive, dataset.classes)}")
    return replace(dataset, classes=(*(name for name in dataset.classes if name != positive), positive))
