"""Labelled images looked at before any model of the user's does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from linnaea.data.audit import audit as run_checks
from linnaea.data.audit import leaks_first
from linnaea.data.audit.survey import digest
from linnaea.data.duplicates.sameness import viewer
from linnaea.data.images.greys import recipe_for
from linnaea.data.splits import require_all
from linnaea.dataset import Dataset
from linnaea.delivery.report import write_audit
from linnaea.errors import DataError
from linnaea.experiments.inspection import embedding_for, inspect
from linnaea.experiments.preparation import group_duplicates
from linnaea.finding import Finding
from linnaea.options import Preparation
from linnaea.runtime.cells import as_csv, join_cell
from linnaea.runtime.files import write_text

FIX_COLUMNS = ("path", "label", "split", "suggestion", "score", "reason", "group")


@dataclass(frozen=True)
class Audit(Sequence[Any]):
    """The findings of an audit, in order, and the readable images that they are about."""

    findings: tuple[Finding, ...]
    dataset: Dataset

    def __getitem__(self, row: Any) -> Any:
        return self.findings[row]

    def __len__(self) -> int:
        return len(self.findings)

    def fixes(self) -> list[dict[str, str]]:
        """A row per image and finding: finding, severity, path, label, split, suggestion, score, reason, group."""
        return [
            {"finding": finding.name, "severity": finding.severity}
            | {name: _as_cell(row.get(name)) for name in FIX_COLUMNS}
            for finding in self.findings
            for row in finding.rows
            if row.get("path")
        ]

    def write_fixes(self, place: str | Path, *, guard_formulas: bool = True) -> Path:
        """Write `fixes` as CSV, with an apostrophe before cells that a spreadsheet would run, unless that is off."""
        names = ["finding", "severity", *FIX_COLUMNS]
        rows = [[row[name] for name in names] for row in self.fixes()]
        return write_text(Path(place), as_csv([names, *rows], guard_formulas=guard_formulas))

    def write_report(self, place: str | Path) -> Path:
        """Write the findings, with images, as one HTML file."""
        return write_audit(self.findings, self.dataset, Path(place))


def audit_images(dataset: Dataset, preparation: Preparation, weights: str | Path, seed: int) -> Audit:
    """Read each image once, and look for what is wrong with it and with all; see `linnaea.audit`."""
    fit = preparation.fit
    embedding, size, note = embedding_for(weights, preparation.img_size, fit, dataset.paths)
    recipe = recipe_for(dataset.paths, size, fit, preparation.max_pixels, preparation.channels)
    found = digest(dataset.paths, recipe, embedding)
    lost = found.excluded(dataset.ids)
    dataset, found = dataset.without(lost), found.kept()
    if not len(dataset) and not lost:
        raise DataError(f"{dataset.root} has no images: expected at least one to audit.")
    if not len(dataset):
        raise DataError(f"no image of {dataset.root} can be read: first {lost[0].path}, {lost[0].reason}.")
    if dataset.has("split"):
        require_all(dataset.column("split"))
    dataset = dataset.with_column("sha256", found.sha256)
    look = viewer(dataset.paths, replace(recipe, fit="stretch"))  # the whole image, as in its thumbnail
    groups, remarks = group_duplicates(found.thumbnails, found.sha256, preparation.duplicates, look)
    features = Finding("seen_with", note, count=len(dataset))
    inspection = inspect(dataset, found, groups, recipe, seed, pretrained=embedding.pretrained)
    findings = leaks_first([*remarks, *run_checks(inspection)])
    return Audit((*findings, features), inspection.dataset)


def _as_cell(value: Any) -> str:
    if isinstance(value, list):
        return join_cell(value)
    return "" if value is None else str(value)
