"""Which images are explained: those that are given, or a few of the test split, mistakes among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.data.images.pixels import decode_files
from linnaea.data.sources import read
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.evidence.explanation import Subject
from linnaea.experiments.finished_run import own_images
from linnaea.experiments.image_files import image_files
from linnaea.run import Run
from linnaea.runtime.containers import Located
from linnaea.runtime.words import counted
from linnaea.task import TASKS

Given = str | Path | Dataset | Sequence[str | Path] | None


@dataclass(frozen=True)
class Chosen:
    """Images as the classifier sees them (N, S, S, C), their names, their truth where known, notes, and their files."""

    pixels: Images
    ids: list[str]
    truth: list[Any]
    notes: tuple[str, ...] = ()
    paths: Sequence[Located] = ()


def none_given(images: Given) -> bool:
    """Whether no images are given: the command line gives an empty list."""
    return images is None or (not isinstance(images, str | Path | Dataset) and not images)


def chosen_images(subject: Subject, images: Given, most: int, seed: int) -> Chosen:
    """The images to explain, decoded; of those in folders and sources at most so many, drawn by the seed.

    None stands for the test split of the run, which is counted as opened once more: half of the images are mistakes,
    where there are so many. Raises DataError where there is nothing to explain, and for a file that cannot be read.
    """
    if none_given(images):
        dataset, rows, notes = _of_run(subject, most, seed)
        return _decoded(subject.classifier, dataset.take(rows), notes)
    assert images is not None
    labelled = _labelled(images)
    if labelled is not None:
        rows, notes = _drawn(len(labelled), most, seed)
        return _decoded(subject.classifier, labelled.take(rows), notes)
    assert not isinstance(images, Dataset), "it is labelled"
    named = [Path(path) for path in ([images] if isinstance(images, str | Path) else images)]
    paths = image_files(named)
    rows, notes = (list(range(len(paths))), ()) if all(map(Path.is_file, named)) else _drawn(len(paths), most, seed)
    return _of_files(subject.classifier, [paths[row] for row in rows], notes)


def _labelled(images: Any) -> Dataset | None:
    """The dataset that is given; None for image files, and for folders that say nothing of classes."""
    if isinstance(images, Dataset):
        return images
    one = images if isinstance(images, str | Path) else images[0] if len(images) == 1 else None
    if one is None:
        return None
    try:
        return read(one)
    except DataError:
        return None


def _of_run(subject: Subject, most: int, seed: int) -> tuple[Dataset, list[int], tuple[str, ...]]:
    run = subject.run
    if run is None:
        raise DataError("a classifier without a run has no images of its own: give image files to explain.")
    with run.locked():
        name, dataset = own_images(run)
        wrong = _wrong(run, name, dataset)
        if name == "test":
            run.count_test("explain")
    random = np.random.default_rng(seed)
    mistakes, others = random.permutation(np.flatnonzero(wrong)), random.permutation(np.flatnonzero(~wrong))
    share = max(min(len(mistakes), most // 2), most - len(others))
    rows = [*mistakes[:share].tolist(), *others[: most - min(share, len(mistakes))].tolist()]
    told = f"{counted(len(rows), 'image')} of the {name} split, drawn by the seed {seed}, the mistakes first"
    return dataset, rows, (f"{told}; {int(wrong.sum())} of {len(dataset)} were answered wrongly.",)


def _wrong(run: Run, name: str, dataset: Dataset) -> Any:
    """Which images of a split were answered wrongly, as its predictions say (N,)."""
    predictions = run.predictions(name)
    answers = dict(zip(predictions.column("id"), predictions.column("label"), strict=True))
    pairs = [(answers.get(each, truth), truth) for each, truth in zip(dataset.ids, dataset.labels, strict=True)]
    several = TASKS[dataset.task].multilabel
    return np.array(
        [set(given or ()) != set(truth or ()) if several else given != truth for given, truth in pairs], bool
    )


def _drawn(count: int, most: int, seed: int) -> tuple[list[int], tuple[str, ...]]:
    if count <= most:
        return list(range(count)), ()
    rows = np.sort(np.random.default_rng(seed).permutation(count)[:most])
    return rows.tolist(), (f"{most} of {count:,} images are explained, drawn by the seed {seed}.",)


def _decoded(classifier: Classifier, dataset: Dataset, notes: tuple[str, ...]) -> Chosen:
    several, known = TASKS[classifier.task].multilabel, set(classifier.classes)
    truth: list[Any] = [None] * len(dataset)
    if several and dataset.multilabel:
        truth = [[label for label in labels if label in known] for labels in dataset.labels]
    elif not several and not dataset.multilabel:
        truth = [label if label in known else None for label in dataset.labels]
    return _readable(classifier, dataset.paths, dataset.ids, truth, notes)


def _of_files(classifier: Classifier, paths: Sequence[Located], notes: tuple[str, ...]) -> Chosen:
    return _readable(classifier, paths, [str(path) for path in paths], [None] * len(paths), notes)


def _readable(
    classifier: Classifier, paths: Sequence[Located], ids: list[str], truth: list[Any], notes: tuple[str, ...]
) -> Chosen:
    """Those that can be read; what cannot is named in the notes."""
    if not ids:
        raise DataError("there are no images to explain: give at least one.")
    decoded = decode_files(paths, classifier.recipe)
    rows = [row for row in range(len(ids)) if row not in decoded.failed]
    if not rows:
        raise DataError(f"none of {counted(len(ids), 'image')} can be read: first {ids[0]}, {decoded.failed[0]}.")
    left = [f"{ids[row]} cannot be read and is left out: {reason}." for row, reason in decoded.failed.items()]
    names, labels = [ids[row] for row in rows], [truth[row] for row in rows]
    return Chosen(decoded.images[rows], names, labels, (*notes, *left), [paths[row] for row in rows])
