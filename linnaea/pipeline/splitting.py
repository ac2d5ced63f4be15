"""`split`, `folds` and `check_split`: who learns from which images, and who is judged by which."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from linnaea.data.audit import LEAKS, Check, Inspection
from linnaea.data.audit.leaks import duplicates_across_splits, groups_across_splits
from linnaea.data.audit.order import absent_classes, shares, time_across_splits
from linnaea.data.images.greys import recipe_for
from linnaea.data.sources import read
from linnaea.data.splits import SPLITTERS, assign_folds, each_fold, given_folds, require_all, with_folds
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.finding import Finding
from linnaea.pipeline.preparation import Usable, prepare, usable
from linnaea.runtime.arguments import require_seed

SIZE = 64  # of the images that duplicates are looked for in
FOLDS = 5
TIME = LEAKS[-1]
OF_PARTS: tuple[Check, ...] = (duplicates_across_splits, groups_across_splits, shares, absent_classes)
Data = str | Path | Dataset


def split(
    data: Data,
    *,
    split_by: str = "stratified",
    fractions: Mapping[str, float] | None = None,
    folds: int | None = None,
    repeats: int = 1,
    duplicates: str = "near",
    max_pixels: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Split images into train, val and test, duplicates and groups never apart. Returns the dataset.

    `split_by` names a splitter: "stratified" (by class; images with several labels by each of them), "time" (the
    oldest into train, the youngest into test) or "iterative". With `folds` the dataset gets columns `fold_1`, ... of
    numbers from 1 to `folds`, one for each of the `repeats`, instead of a split. Splits that are given are kept. Images
    of more than `max_pixels` (None: 50 megapixels) are not decoded.
    """
    SPLITTERS[split_by]
    require_seed(seed)
    dataset = _dataset(data)
    if folds is None:
        if repeats != 1:
            raise UsageError(f"repeats is {repeats} without folds: say how many folds, or leave it out.")
        recipe = recipe_for(dataset.paths, SIZE, max_pixels=max_pixels)
        return prepare(
            dataset, recipe, seed=seed, split_by=split_by, fractions=fractions, duplicates=duplicates
        ).dataset
    if fractions is not None or split_by != "stratified":
        raise UsageError("folds are stratified and of equal size: leave out the fractions and the way to split.")
    found = _unsplit(dataset, duplicates, max_pixels)
    return with_folds(found.dataset, assign_folds(found.dataset, found.units, folds=folds, repeats=repeats, seed=seed))


def folds(
    data: Data,
    *,
    folds: int | None = None,
    repeats: int | None = None,
    duplicates: str = "near",
    max_pixels: int | None = None,
    seed: int = 0,
) -> Iterator[Dataset]:
    """Datasets for cross-validation: each fold of each repeat is once test, val comes out of the rest, the rest trains.

    Repeat by repeat, and fold by fold in each; duplicates and groups are never apart. Folds that the data names in
    columns `fold_1`, ... are kept, otherwise there are 5 `folds`, in 1 of `repeats`. Raises UsageError when the data
    has splits, or other folds than those asked for.
    """
    require_seed(seed)
    found = _unsplit(_dataset(data), duplicates, max_pixels)
    assigned = given_folds(found.dataset)
    if assigned is None:
        number, times = FOLDS if folds is None else folds, 1 if repeats is None else repeats
        assigned = assign_folds(found.dataset, found.units, folds=number, repeats=times, seed=seed)
    elif folds not in (None, assigned.max()) or repeats not in (None, assigned.shape[1]):
        raise UsageError(
            f"the data has {assigned.shape[1]} columns of {assigned.max()} folds, and {repeats or 1} of {folds} are "
            "requested: leave one or the other out."
        )
    return each_fold(with_folds(found.dataset, assigned), assigned, found.units, seed=seed)


def check_split(
    data: Data, *, split_by: str = "stratified", duplicates: str = "near", max_pixels: int | None = None
) -> list[Finding]:
    """Look for leaks in splits (and folds) that are given, and change nothing.

    The shares; duplicates or groups in two splits; images on the wrong side of a border in time, which is a leak if
    `split_by` is "time" or the splits were clearly meant to be in order; classes that a split lacks. Raises UsageError
    when the data has neither splits nor folds.
    """
    SPLITTERS[split_by]
    dataset = _dataset(data)
    if split_by == "time" and not (dataset.has("time") and dataset.has("split")):
        lacking = "split" if dataset.has("time") else "time"
        raise DataError(f"{dataset.root} has no column `{lacking}`, so there is no order in time to check.")
    found = usable(dataset, recipe_for(dataset.paths, SIZE, max_pixels=max_pixels), duplicates=duplicates)
    findings = list(found.remarks)
    if dataset.has("split"):
        findings += _looked_at(found, "split", found.dataset.column("split"), (*OF_PARTS, time_across_splits))
    assigned = given_folds(found.dataset)
    for repeat, column in enumerate([] if assigned is None else assigned.T.tolist(), 1):
        findings += _looked_at(found, f"fold_{repeat}", [f"fold {fold}" for fold in column], OF_PARTS)
    if not dataset.has("split") and assigned is None:
        raise UsageError(f"{dataset.root} has neither splits nor folds to check: leave --check out to make some.")
    meant = split_by == "time"
    return [replace(each, severity="warning") if meant and each.name == TIME else each for each in findings]


def leaks_in(findings: list[Finding]) -> list[Finding]:
    """Those findings that make figures too good."""
    return [finding for finding in findings if finding.name in LEAKS and finding.severity != "info"]


def _dataset(data: Data) -> Dataset:
    return data if isinstance(data, Dataset) else read(data)


def _unsplit(dataset: Dataset, duplicates: str, max_pixels: int | None) -> Usable:
    if dataset.has("split"):
        raise UsageError(
            f"{dataset.root} has splits already, and folds would mix their test images into training: give images "
            "without splits."
        )
    return usable(dataset, recipe_for(dataset.paths, SIZE, max_pixels=max_pixels), duplicates=duplicates)


def _looked_at(found: Usable, column: str, parts: list[str | None], checks: Sequence[Check]) -> list[Finding]:
    """What these checks say of the parts that a column gives."""
    require_all(parts, column)
    inspection = Inspection(found.dataset.with_column("split", parts), found.duplicates)
    said = [finding for check in checks if (finding := check(inspection)) is not None]
    return said if column == "split" else [replace(each, summary=f"{column}: {each.summary}") for each in said]
