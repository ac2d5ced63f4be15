"""Other labelled images, as far as a classifier can be judged by them."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from linnaea.classifier import Classifier
from linnaea.data.sources import read
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.task import TASKS

logger = logging.getLogger("linnaea")
MOST_NAMED = 5
NAMES = pa.list_(pa.string())


def known_images(data: str | Path | Dataset, classifier: Classifier) -> Dataset:
    """The images by which a classifier can be judged, with the labels that it knows; warns of what is left out.

    Raises DataError where it knows none of the labels, or where one label per image stands against several.
    """
    dataset = data if isinstance(data, Dataset) else read(data)
    several = TASKS[classifier.task].multilabel
    _require_as_many(dataset, several=several)
    dataset = (_with_known_labels if several else _of_known_classes)(dataset, classifier.classes)
    left_out = [entry for entry in dataset.excluded if entry.reason != "hidden"]
    if left_out:
        first = left_out[0]
        logger.warning(f"{len(left_out)} files are not judged: first {first.path}, {first.reason}.")
    return dataset


def _require_as_many(dataset: Dataset, *, several: bool) -> None:
    if several and not dataset.multilabel:
        raise DataError(
            f"{dataset.root} has one label per image, but the classifier may answer with several: expected labels "
            "joined by bars (one alone as 'cat|'), lists of them, or a column of 0 and 1 per label."
        )
    if dataset.multilabel and not several:
        raise DataError(
            f"{dataset.root} has several labels per image, but the classifier answers with one: expected one label per "
            "image."
        )


def _of_known_classes(dataset: Dataset, classes: Sequence[str]) -> Dataset:
    known = set(classes)
    rows = [row for row, label in enumerate(dataset.labels) if label in known]
    if not rows:
        raise _stranger(dataset, classes)
    if len(rows) < len(dataset):
        unknown, strange = len(dataset) - len(rows), [name for name in dataset.classes if name not in known]
        logger.warning(
            f"{unknown} of {len(dataset)} images are not judged: {_listed(strange, 'classes', 'class')} unknown to "
            "the classifier. To see how many of them are recognised as unknown, give them to `evaluate --unknown`."
        )
    silent = [name for name in classes if name not in set(dataset.take(rows).labels)]
    if silent:
        logger.warning(f"{_listed(silent, 'classes', 'class')} not in {dataset.root}: not judged.")
    return dataset.take(rows)


def _with_known_labels(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """All images; labels that the classifier does not know are dropped, those that the data has not are unknown."""
    known, strange = set(classes), [name for name in dataset.classes if name not in set(classes)]
    silent = [name for name in classes if name not in set(dataset.classes)]
    if len(silent) == len(classes):
        raise _stranger(dataset, classes)
    if strange:
        logger.warning(f"{_listed(strange)} unknown to the classifier and left out of the truth.")
    if silent:
        logger.warning(f"{_listed(silent)} not named in {dataset.root}: treated as unknown, not as absent.")
    labels = [[name for name in names if name in known] for names in dataset.labels]
    unknown = [[*(name for name in names if name in known), *silent] for names in dataset.unknown]
    kept = [name for name in dataset.table.column_names if name not in ("label", "unknown", "absent")]
    table = dataset.table.select(kept)
    for name, lists in {"label": labels, "unknown": unknown}.items():
        table = table.append_column(name, pa.array(lists, NAMES))
    return replace(dataset, table=table, classes=classes)


def _listed(names: Sequence[str], several: str = "labels", one: str = "label") -> str:
    shown = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    return f"{len(names)} {several} ({shown}) are" if len(names) > 1 else f"The {one} {shown} is"


def _stranger(dataset: Dataset, classes: Sequence[str]) -> DataError:
    return DataError(
        f"no image of {dataset.root} has a class that the classifier knows: the data has "
        f"{', '.join(dataset.classes[:MOST_NAMED])}; the classifier knows {', '.join(classes[:MOST_NAMED])}."
    )
