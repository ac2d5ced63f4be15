"""From a source to decoded, audited, split examples, each file decoded once."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from linnaea.arrays import Images, Integers, in_colours
from linnaea.data.audit import Inspection, audit, leaks_first
from linnaea.data.audit.levels import level_below
from linnaea.data.duplicates.grouping import duplicate_groups, kept_together, largest_group, thumbnails_of
from linnaea.data.duplicates.sameness import viewer
from linnaea.data.images.pixels import Decoded, Recipe
from linnaea.data.images.streamed import decoded_or_streamed, in_chunks
from linnaea.data.splits import changed_mix, fill_splits, split
from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError
from linnaea.finding import Finding
from linnaea.runtime.arguments import DUPLICATES, require_one_of
from linnaea.runtime.words import counted
from linnaea.task import infer_task

logger = logging.getLogger("linnaea")
ALIKE = 0.2
FEW = 10


@dataclass(frozen=True)
class Usable:
    """The images that can be read, with their content hashes; their pixels, row by row; `duplicates`, a group per row.

    `remarks` says where duplicates were not looked for as requested.
    """

    dataset: Dataset
    decoded: Decoded
    duplicates: Integers
    remarks: list[Finding]

    @property
    def units(self) -> Integers:
        """A number per row (N,), equal where images must stay together."""
        return kept_together(self.dataset, self.duplicates)


@dataclass(frozen=True)
class Prepared:
    """A dataset without its unreadable files, with splits; its pixels, row by row; and the audit's findings.

    `units` is a number per row (N,), equal where images must stay together.
    """

    dataset: Dataset
    decoded: Decoded
    findings: list[Finding]
    units: Integers

    def rows(self, name: str) -> Integers:
        """Positions of the rows of one split."""
        return np.array(
            [row for row, value in enumerate(self.dataset.column("split")) if value == name], dtype=np.int64
        )


def prepare(
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    duplicates: str = "near",
    split_by: str = "stratified",
    fractions: Mapping[str, float] | None = None,
    keep_splits: Dataset | None = None,
    stream: bool = False,
    look: Callable[[Inspection], Inspection] = lambda inspection: inspection,
) -> Prepared:
    """Decode, leave out what cannot be used, group duplicates, split, audit.

    `duplicates` "near" groups images that look the same, "exact" only files with the same bytes; where more than a
    fifth of all images look the same (a fixed camera), near means exact, with a warning. `split_by` names a splitter.
    `keep_splits` is the dataset of a run: its rows and splits are taken over, only images that are new to it, without
    `sha256` or `split`, may become unreadable and are given a split. `stream` is that of `usable`, and `look` adds to
    what the audit sees. Raises DataError when fewer than two classes or no val images remain, or the data differs from
    that of the run.
    """
    given = dataset if keep_splits is None else keep_splits
    found = usable(given, recipe, duplicates=duplicates, unchanged=keep_splits is not None, stream=stream)
    dataset, decoded, same = found.dataset, found.decoded, found.duplicates
    remarks = list(found.remarks)
    if keep_splits is None:
        dataset = split(dataset, found.units, by=split_by, fractions=fractions, seed=seed)
        if split_by != "time" and not found.dataset.has("split") and len(np.unique(found.units)) < len(found.units):
            apart = split(found.dataset, by=split_by, fractions=fractions, seed=seed)
            remarks += filter(None, [changed_mix(dataset, apart)])
        decoded, same = _rows_of(dataset, found)
    elif None in dataset.column("split"):
        dataset = fill_splits(dataset, found.units, seed=seed)
    dataset, decoded, same = _without_untrained(dataset, decoded, same)
    if fractions is None:
        _require_val(dataset, same)
    findings = audit(look(Inspection(dataset, same)))
    findings = leaks_first([*remarks, *findings])
    _log([finding for finding in findings if finding not in found.remarks])
    return Prepared(dataset, decoded, findings, kept_together(dataset, same))


def usable(
    dataset: Dataset, recipe: Recipe, *, duplicates: str = "near", unchanged: bool = False, stream: bool = False
) -> Usable:
    """Decode, leave out what cannot be read, and group duplicates; `unchanged` asks for the contents of a run.

    With `stream`, or without room for them, pixels are decoded whenever they are looked at.

    Raises DataError when fewer than two classes remain or, with `unchanged`, a content is another.
    """
    decoded, note = decoded_or_streamed(dataset.paths, recipe, stream=stream)
    if unchanged:
        _require_same(dataset, decoded)
    dataset = dataset.without(decoded.excluded(dataset.ids))
    decoded = decoded.kept()
    _require_classes(dataset)
    look = viewer(dataset.paths, recipe)
    streamed = [Finding("streamed", note, count=len(dataset))] if note else []
    thumbnails = np.concatenate([thumbnails_of(in_colours(part)) for part in in_chunks(decoded.images)])
    groups, remarks = group_duplicates(thumbnails, decoded.sha256, duplicates, look)
    remarks = [*streamed, *remarks]
    _log(remarks)
    return Usable(dataset.with_column("sha256", decoded.sha256), decoded, groups, remarks)


def _log(findings: Sequence[Finding]) -> None:
    for finding in findings:
        logger.log(logging.INFO if finding.severity == "info" else logging.WARNING, finding.summary)


def _rows_of(dataset: Dataset, found: Usable) -> tuple[Decoded, Integers]:
    """The pixels and duplicates of those images that are still in the dataset."""
    if len(dataset) == len(found.dataset):
        return found.decoded, found.duplicates
    left = set(dataset.ids)
    rows = [row for row, path in enumerate(found.dataset.ids) if path in left]
    return found.decoded.take(rows), found.duplicates[rows]


def group_duplicates(
    thumbnails: Images, sha256: Sequence[str], mode: str, look: Callable[[int], Images]
) -> tuple[Integers, list[Finding]]:
    """A group per row of thumbnails (N, 32, 32, 3), and a finding when near-duplicates mean nothing or may be missed.

    `look` gives the image of a row at its own resolution. Raises UsageError for a mode that is neither "near"
    nor "exact".
    """
    require_one_of(DUPLICATES, "duplicates", mode)
    groups, complete = duplicate_groups(thumbnails, sha256, look if mode == "near" else None)
    largest = largest_group(groups)
    if mode == "exact" or largest <= max(FEW, ALIKE * len(groups)):
        return groups, [] if complete else [_incomplete(len(groups))]
    finding = Finding(
        "alike",
        f"{largest} of {len(groups)} images look nearly the same, as those of a fixed camera do: only files with "
        "identical bytes are treated as duplicates. If images are frames of a sequence, name the sequence in a "
        "`group` column.",
        severity="warning",
        count=largest,
    )
    return duplicate_groups(thumbnails, sha256)[0], [finding]


def _incomplete(images: int) -> Finding:
    return Finding(
        "not_all_compared",
        f"So many of the {images} images look alike that only the most similar pairs were compared: near-duplicates "
        "may be missed and end up in different splits. If the images come from few places or from sequences, name "
        "the place or the sequence of each in a `group` column.",
        severity="warning",
        count=images,
    )


def _require_classes(dataset: Dataset) -> None:
    present = Counter(label for labels in dataset.label_lists for label in labels)
    if len(present) < 2:
        lost = dataset.excluded
        left = (
            f" {counted(len(lost), 'file was', 'files were')} left out (first {lost[0].path}: {lost[0].reason})."
            if lost
            else ""
        )
        raise DataError(
            f"{dataset.root} has {counted(len(dataset), 'usable image')} of "
            f"{counted(len(present), 'class', 'classes')} ({', '.join(list(present)[:3]) or 'none'}): expected at "
            f"least two classes.{left} {level_below(dataset)}".rstrip()
        )


def _require_val(dataset: Dataset, duplicates: Integers) -> None:
    if dataset.multilabel and len(dataset.split("val")) and np.isnan(dataset.split("val").targets).all():
        raise DataError(
            f"no val image of {dataset.root} has a known label, but models are chosen and calibrated on val: label "
            "some of them, or leave the splits out to have new ones made."
        )
    if not len(dataset.split("val")):
        apart = len(np.unique(kept_together(dataset, duplicates)))
        raise DataError(
            f"{dataset.root} leaves no image for the val split, on which models are chosen and calibrated: "
            f"{counted(len(dataset), 'usable image')}, of which {apart} can be split independently (copies and groups "
            "stay together), are too few, or the given val images belong to other classes; expected at least 3 of "
            "each class."
        )


def _require_same(dataset: Dataset, decoded: Decoded) -> None:
    changed = [
        path
        for path, old, new in zip(dataset.ids, dataset.column("sha256"), decoded.sha256, strict=True)
        if old not in (None, new)
    ]
    if changed:
        raise DataError(
            f"{len(changed)} images have changed or disappeared since the run began (first {changed[0]}): put them "
            "back, or start a new run."
        )


def _without_untrained(dataset: Dataset, decoded: Decoded, duplicates: Integers) -> tuple[Dataset, Decoded, Integers]:
    """Leave out images of classes that have none in train: no model could name them.

    Images with several labels stay, and so do all of their classes.
    """
    trained = {label for labels in dataset.split("train").label_lists for label in labels}
    if len(trained) < 2:
        raise DataError(f"the train split has images of {len(trained)} class(es); expected at least two.")
    if dataset.multilabel:
        return dataset, decoded, duplicates
    gone = [row for row, label in enumerate(dataset.labels) if label not in trained]
    classes = tuple(name for name in dataset.classes if name in trained)
    if not gone:
        return _with_classes(dataset, classes), decoded, duplicates
    ids, labels = dataset.ids, dataset.labels
    entries = [Excluded(ids[row], f"class {labels[row]!r} has no image in train") for row in gone]
    rows = np.setdiff1d(np.arange(len(dataset)), gone).tolist()
    return _with_classes(dataset.without(entries), classes), decoded.take(rows), duplicates[rows]


def _with_classes(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    return replace(dataset, classes=classes, task=infer_task(classes, dataset.taxonomy))
