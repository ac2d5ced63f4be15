"""`audit`: look at labelled images before any model of the user's does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.arrays import Integers
from linnaea.data.audit import Inspection, leaks_first
from linnaea.data.audit import audit as run_checks
from linnaea.data.audit.survey import Digest, Embedding, digest
from linnaea.data.duplicates.sameness import viewer
from linnaea.data.images.greys import recipe_for
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.data.sources import read
from linnaea.data.splits import random_folds, require_all
from linnaea.dataset import Dataset
from linnaea.delivery.report import write_audit
from linnaea.errors import DataError
from linnaea.finding import Finding
from linnaea.learning.crossfit import cross_fit
from linnaea.models.embedding import WORTH_MEASURING, embed, measure_embedding
from linnaea.models.feature_cache import embed_once
from linnaea.models.hog import Hog
from linnaea.models.model import Model
from linnaea.models.weights import Weights, find_weights
from linnaea.pipeline.preparation import group_duplicates
from linnaea.runtime.arguments import DUPLICATES, require_one_of, require_seed
from linnaea.runtime.cells import as_csv, join_cell
from linnaea.runtime.containers import Located
from linnaea.runtime.files import write_text
from linnaea.runtime.plan import Plan

AUDIT_SIZE = 96
MOST_FITTED, MOST_SCORES = 50_000, 10**8
FEWEST_JUDGED = 50
MEASURED_WITH = 16  # images that the execution plan is measured on
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


def audit(
    data: str | Path | Dataset,
    *,
    weights: str | Path = "auto",
    img_size: int | None = None,
    fit: str = "crop",
    max_pixels: int | None = None,
    duplicates: str = "near",
    seed: int = 0,
) -> Audit:
    """Look at labelled images before any model does; returns the findings, which behave as a sequence.

    Files left out; images repeated, also across splits, classes and groups; labels that are probably wrong, by a
    classifier cross-validated on features of `weights` (a file, "auto" for what can be had, "none" for classical
    features); outliers; dark, blurred, tiny, odd and cut images; small and rare classes; what gives the class away
    without the subject; order. Each file is read once, and not again while it stays as it is. `fit` is the way
    images will become square, and those of more than `max_pixels` (None: 50 megapixels) are not decoded. Raises
    DataError where no image can be read.
    """
    require_seed(seed)
    require_one_of(DUPLICATES, "duplicates", duplicates)
    dataset = data if isinstance(data, Dataset) else read(data)
    embedding, size, note = embedding_for(weights, img_size, fit, dataset.paths)
    recipe = recipe_for(dataset.paths, size, fit, max_pixels)
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
    groups, remarks = group_duplicates(found.thumbnails, found.sha256, duplicates, look)
    features = Finding("seen_with", note, count=len(dataset))
    inspection = inspect(dataset, found, groups, fit, seed)
    findings = leaks_first([*remarks, *run_checks(inspection)])
    return Audit((*findings, features), inspection.dataset)


def _as_cell(value: Any) -> str:
    if isinstance(value, list):
        return join_cell(value)
    return "" if value is None else str(value)


def embedding_for(
    weights: str | Path, size: int | None, fit: str, paths: Sequence[Located]
) -> tuple[Embedding, int, str]:
    """The features that the audit looks at, the side of the images they are made of, and where they come from.

    `weights` is a file or "auto" for a pretrained network, where one can be had, or "none" for HOG and colours;
    `paths` are the images to come, `fit` the way they become square.
    """
    found, note = find_weights(weights, None)
    own = size or (AUDIT_SIZE if found is None else found.size)
    told = f"{note} The audit uses HOG and colours." if found is None else note
    return _embedding_by(found, Recipe(own, fit), paths), own, told


def closer_look(weights: Weights | None, recipe: Recipe, seed: int) -> Callable[[Inspection], Inspection]:
    """Adds to an inspection of readable images what `audit` sees of them: files, looks, features of `weights`, a judge.

    None of the images is read again that was looked at before.
    """
    recipe = recipe if weights else replace(recipe, size=AUDIT_SIZE)

    def look(inspection: Inspection) -> Inspection:
        dataset = inspection.dataset
        found = digest(dataset.paths, recipe, _embedding_by(weights, recipe, dataset.paths))
        if found.excluded(dataset.ids):  # a file that changed meanwhile; whoever needs it next says so
            return inspection
        return inspect(dataset, found, inspection.duplicates, recipe.fit, seed)

    return look


def inspect(dataset: Dataset, found: Digest, duplicates: Integers, fit: str, seed: int) -> Inspection:
    """What the checks see: `found` of the readable images of `dataset`, in its order."""
    inspection = Inspection(dataset, duplicates, found.facts, found.looks, found.features, fit=fit)
    folds = random_folds(inspection.apart, seed=seed)
    if why := _unjudged(dataset, folds):
        return replace(inspection, unjudged=why)
    judge = cross_fit(found.features, folds)
    return replace(inspection, judge=lambda targets: judge(targets, len(dataset.classes)))


def _unjudged(dataset: Dataset, folds: Integers) -> str:
    """Why labels cannot be checked; empty where they can."""
    if dataset.multilabel:
        return "images with several labels are not judged by this audit"
    if len(set(dataset.labels)) < 2:
        return "there is only one class"
    if len(dataset) > MOST_FITTED:
        return f"more than {MOST_FITTED:,} images"
    if len(dataset) * len(dataset.classes) > MOST_SCORES:
        return f"{len(dataset):,} images of {len(dataset.classes):,} classes are too many to score"
    if len(dataset) < FEWEST_JUDGED:
        return f"{len(dataset)} images are too few; {FEWEST_JUDGED} are needed"
    return "" if len(np.unique(folds)) > 1 else "all images belong to one group"


def _embedding_by(weights: Weights | None, recipe: Recipe, paths: Sequence[Located]) -> Embedding:
    """Features of these weights, or HOG and colours."""
    if weights is None:
        return _embedding(Hog(2, recipe.size), f"hog {recipe.size}", recipe, paths)
    name = f"{weights.network} {weights.source} {weights.sha256}"
    return _embedding(weights.build(2, recipe.size), name, recipe, paths)


def _embedding(model: Model, name: str, recipe: Recipe, paths: Sequence[Located]) -> Embedding:
    plan = _plan(model, recipe, paths)
    width = embed(model, np.zeros((1, recipe.size, recipe.size, 3), dtype=np.uint8)).shape[1]
    way = embed if model.kind == Hog.kind else embed_once  # HOG takes no longer than looking it up
    return Embedding(f"{name} {plan.precision}", width, lambda pictures: way(model, pictures, plan))


def _plan(model: Model, recipe: Recipe, paths: Sequence[Located]) -> Plan:
    """The fastest plan, measured on some of the images, once: if it changed, no file would be known any more."""
    if len(paths) < WORTH_MEASURING:
        return Plan("cpu")
    shown = decode_files(paths[:: max(1, len(paths) // MEASURED_WITH)], recipe, keep=False).kept().images
    return measure_embedding(model, shown, count=len(paths)) if len(shown) else Plan("cpu")
