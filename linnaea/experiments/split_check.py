"""Leaks looked for in splits that are given."""

from collections.abc import Sequence
from dataclasses import replace

from linnaea.data.audit import Check, Inspection, is_leak
from linnaea.data.audit.leaks import duplicates_across_splits, groups_across_splits
from linnaea.data.audit.order import absent_classes, shares, time_across_splits
from linnaea.data.images.greys import recipe_for
from linnaea.data.splits import given_folds, require_all
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.experiments.preparation import Usable, usable
from linnaea.experiments.splitting import SIZE
from linnaea.finding import Finding
from linnaea.options import Preparation

OF_PARTS: tuple[Check, ...] = (duplicates_across_splits, groups_across_splits, shares, absent_classes)


def check_splits(dataset: Dataset, preparation: Preparation) -> list[Finding]:
    """What is wrong with the splits and folds of a dataset; see `linnaea.check_split`."""
    split_by = preparation.split_by
    if split_by == "time" and not (dataset.has("time") and dataset.has("split")):
        lacking = "split" if dataset.has("time") else "time"
        raise DataError(f"{dataset.root} has no column `{lacking}`, so there is no order in time to check.")
    recipe = recipe_for(dataset.paths, SIZE, max_pixels=preparation.max_pixels, channels=preparation.channels)
    found = usable(dataset, recipe, duplicates=preparation.duplicates)
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
