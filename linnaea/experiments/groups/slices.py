"""Bad slices of the images that a classifier is judged on, by its own features, as findings and a contact sheet."""

from pathlib import Path
from typing import Any

import numpy as np

from linnaea.classifier import Classifier
from linnaea.data.images.pixels import decode_files
from linnaea.dataset import Dataset
from linnaea.delivery.sheet import Strip, write_sheet
from linnaea.errors import UsageError
from linnaea.evidence.fairness.discovery import BadSlice, find_slices, slices_finding
from linnaea.evidence.fairness.slicing import Slices, slices_of
from linnaea.evidence.metrics import scores_of
from linnaea.evidence.uncertainty import sample_of
from linnaea.experiments.embedded_files import embed_files
from linnaea.finding import Finding
from linnaea.predictions import Predictions, label_text

SHEET = "bad_slices.png"
SHOWN = 8


def require_features(classifier: Classifier) -> None:
    """Raise UsageError for a classifier that has no features to find slices in."""
    if not classifier.scorer.features:
        raise UsageError(
            f"slices are found in the features of a network, and a classifier of the kind {classifier.scorer.kind} "
            "gives none: use the run that it was exported from, or name columns with --by."
        )


def discovered(
    classifier: Classifier, dataset: Dataset, answers: Predictions, sheet: Path | None = None
) -> list[Finding]:
    """What slices of a dataset are answered worse than the rest; `sheet` is where they are drawn, if there are any."""
    require_features(classifier)
    embedded = embed_files(classifier, dataset.paths)
    rows = np.flatnonzero([reason is None for reason in embedded.failed])
    part = dataset.take(rows.tolist())
    wrong = ~scores_of(answers).hits[rows]
    units = sample_of(answers).groups
    found = find_slices(embedded.features[rows], wrong, _columns(part), None if units is None else units[rows])
    told: dict[str, list[Any]] = {
        "mostly truth": list(map(label_text, part.labels)),
        "mostly answered": [label_text(answers.column("label")[row]) for row in rows.tolist()],
    }
    if sheet is not None:
        sheet.unlink(missing_ok=True)  # of an earlier look
        if found:
            _draw(classifier, part, found, sheet)
    return slices_finding(found, part.ids, told)


def _columns(dataset: Dataset) -> list[Slices]:
    """The columns that may name a slice: the label, and metadata with values that several images have."""
    known: list[Slices] = []
    columns = {name: dataset.column(name) for name in dataset.metadata}
    if not dataset.multilabel:
        columns["class"] = dataset.labels
    for name, values in columns.items():
        try:
            known += slices_of({name: values}, [name])
        except UsageError:  # nothing that could tell images apart
            continue
    return known


def _draw(classifier: Classifier, dataset: Dataset, found: list[BadSlice], place: Path) -> None:
    paths, labels = dataset.paths, list(map(label_text, dataset.labels))
    strips = []
    for number, one in enumerate(found, 1):
        rows = one.shown[:SHOWN].tolist()
        images = decode_files([paths[row] for row in rows], classifier.recipe).images
        strips.append(Strip(f"{number}: {100 * one.errors:.0f} % wrong", np.asarray(images), [labels[r] for r in rows]))
    write_sheet(place, "Images that look alike and are often answered wrongly, mistakes first", [], strips)
