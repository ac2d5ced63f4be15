"""From a source to decoded, audited, split examples, each file decoded once."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from linnaea.data.audit import Inspection, audit
from linnaea.data.duplicates import duplicate_groups, largest_group, merge_groups
from linnaea.data.pixels import Decoded, Recipe, decode_files
from linnaea.data.splits import split
from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError, UsageError
from linnaea.finding import Finding
from linnaea.task import infer_task

logger = logging.getLogger("linnaea")
Rows = npt.NDArray[np.int64]
DUPLICATES = ("near", "exact")
ALIKE = 0.2
FEW = 10


@dataclass(frozen=True)
class Prepared:
    """A dataset without its unreadable files, with splits; its pixels, row by row; and the audit's findings."""

    dataset: Dataset
    decoded: Decoded
    findings: list[Finding]

    def rows(self, name: str) -> Rows:
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
    fractions: Mapping[str, float] | None = None,
    keep_splits: Dataset | None = None,
) -> Prepared:
    """Decode, leave out what cannot be used, group duplicates, split, audit.

    `duplicates` "near" groups pictures that look the same, "exact" only files with the same bytes; where more than a
    fifth of all images look the same (a fixed camera), near means exact, with a warning. `keep_splits` is the dataset
    of a run that is resumed: its rows and splits are taken over. Raises DataError when fewer than two classes or no
    val images remain, or the data differs from that of the run.
    """
    if keep_splits is not None:
        dataset = keep_splits
    decoded = decode_files(dataset.paths, recipe)
    if keep_splits is not None:
        _require_same(dataset, decoded)
    dataset = dataset.without(decoded.excluded(dataset.ids))
    decoded = decoded.kept()
    _require_classes(dataset)
    dataset = dataset.with_column("sha256", decoded.sha256)
    same, remarks = _duplicates(decoded, duplicates)
    if keep_splits is None:
        columns = [same.tolist(), *([dataset.column("group")] if dataset.has("group") else [])]
        dataset = split(dataset, merge_groups(*columns), fractions=fractions, seed=seed)
    dataset, decoded, same = _without_untrained(dataset, decoded, same)
    if fractions is None:
        _require_val(dataset)
    findings = [*remarks, *audit(Inspection(dataset, same))]
    for finding in findings:
        if finding.severity != "info":
            logger.warning(finding.summary)
    return Prepared(dataset, decoded, findings)


def _duplicates(decoded: Decoded, mode: str) -> tuple[Rows, list[Finding]]:
    """A group per row, and a finding when near-duplicates mean nothing here."""
    if mode not in DUPLICATES:
        raise UsageError(f"duplicates is {mode!r}; expected one of {', '.join(DUPLICATES)}.")
    groups = duplicate_groups(decoded.images, decoded.sha256, near=mode == "near")
    largest = largest_group(groups)
    if mode == "exact" or largest <= max(FEW, ALIKE * len(groups)):
        return groups, []
    finding = Finding(
        "alike",
        f"{largest} of {len(groups)} images look nearly the same, as those of a fixed camera do: only files with equal "
        "bytes are treated as duplicates. If pictures follow each other closely, name their sequence in a `group` "
        "column.",
        severity="warning",
        count=largest,
    )
    return duplicate_groups(decoded.images, decoded.sha256, near=False), [finding]


def _require_classes(dataset: Dataset) -> None:
    present = Counter(dataset.labels)
    if len(present) < 2:
        left = f" {len(dataset.excluded)} files were left out." if dataset.excluded else ""
        raise DataError(
            f"{dataset.root} has {len(dataset)} usable images of {len(present)} class(es) "
            f"({', '.join(list(present)[:3]) or 'none'}): expected at least two classes to tell apart.{left}"
        )


def _require_val(dataset: Dataset) -> None:
    if not len(dataset.split("val")):
        raise DataError(
            f"{dataset.root} leaves no image for the val split, by which models are chosen and calibrated: "
            f"{len(dataset)} usable images are too few, or the val images given are of other classes; expected at "
            "least 3 images of a class."
        )


def _require_same(dataset: Dataset, decoded: Decoded) -> None:
    changed = [
        path for path, old, new in zip(dataset.ids, dataset.column("sha256"), decoded.sha256, strict=True) if old != new
    ]
    if changed:
        raise DataError(
            f"{len(changed)} images have changed or gone since the run began (first {changed[0]}): put them back, or "
            "start a new run."
        )


def _without_untrained(dataset: Dataset, decoded: Decoded, duplicates: Rows) -> tuple[Dataset, Decoded, Rows]:
    """Leave out images of classes that have none in train: no model could name them."""
    trained = set(dataset.split("train").labels)
    if len(trained) < 2:
        raise DataError(f"the train split has images of {len(trained)} class(es); expected at least two.")
    gone = [row for row, label in enumerate(dataset.labels) if label not in trained]
    classes = tuple(name for name in dataset.classes if name in trained)
    if not gone:
        return _with_classes(dataset, classes), decoded, duplicates
    ids, labels = dataset.ids, dataset.labels
    entries = [Excluded(ids[row], f"class {labels[row]!r} has no image in train") for row in gone]
    kept = np.setdiff1d(np.arange(len(dataset)), gone)
    decoded = Decoded(decoded.images[kept], [decoded.sha256[row] for row in kept], {})
    return _with_classes(dataset.without(entries), classes), decoded, duplicates[kept]


def _with_classes(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    return replace(dataset, classes=classes, task=infer_task(classes))
