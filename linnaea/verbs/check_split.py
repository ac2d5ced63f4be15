"""`check_split`: look for leaks in splits that are given."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from linnaea.data.audit import Check, Inspection, is_leak
from linnaea.data.audit.leaks import duplicates_across_splits, groups_across_splits
from linnaea.data.audit.order import absent_classes, shares, time_across_splits
from linnaea.data.images.greys import recipe_for
from linnaea.data.sources import read
from linnaea.data.splits import SPLITTERS, given_folds, require_all
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.experiments.preparation import Usable, usable
from linnaea.experiments.splitting import SIZE
from linnaea.finding import Finding

OF_PARTS: tuple[Check, ...] = (duplicates_across_splits, groups_across_splits, shares, absent_classes)


def check_split(
    data: str | Path | Dataset, *, split_by: str = "stratified", duplicates: str = "near", max_pixels: int | None = None
) -> list[Finding]:
    """Look for leaks in splits (and folds) that are given, and change nothing.

    The shares; duplicates or groups in two splits; images on the wrong side of a border in time, which is a leak if
    `split_by` is "time" or the splits were clearly meant to be in order; classes that a split lacks. Raises UsageError
    when the data has neither splits nor folds.
    """
    SPLITTERS[split_by]
    dataset = data if isinstance(data, Dataset) else read(data)
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
    return [
        replace(each, severity="warning") if meant and each.name == "time_across_splits" else each for each in findings
    ]


def leaks_in(findings: list[Finding]) -> list[Finding]:
    """Those findings that make figures too good."""
    return [finding for finding in findings if is_leak(finding)]


def _looked_at(found: Usable, column: str, parts: list[str | None], checks: Sequence[Check]) -> list[Finding]:
    """What these checks say of the parts that a column gives."""
    require_all(parts, column)
    inspection = Inspection(found.dataset.with_column("split", parts), found.duplicates)
    said = [finding for check in checks if (finding := check(inspection)) is not None]
    return said if column == "split" else [replace(each, summary=f"{column}: {each.summary}") for each in said]
