"""Exporting a run: several formats, each into its own folder, compared on the run's own images."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.arrays import Images
from linnaea.classifier import Classifier, load
from linnaea.data.images.pixels import decode_files
from linnaea.dataset import Dataset
from linnaea.delivery.exporters import (
    Exported,
    Order,
    ParityError,
    export,
    folder_for,
    require_export,
    require_formats,
)
from linnaea.errors import CheckFailedError, DataError
from linnaea.run import Run

CALIBRATED_ON = 300  # images of train
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Exports:
    """Exports of one run in several formats, in the order in which they were asked for."""

    each: tuple[Exported, ...]

    def __iter__(self) -> Iterator[Exported]:
        return iter(self.each)

    def __len__(self) -> int:
        return len(self.each)

    def __getitem__(self, to: str) -> Exported:
        """The one in a format; KeyError where there is none."""
        return {exported.to: exported for exported in self.each}[to]

    def to_json(self) -> list[dict[str, Any]]:
        """A list of what each says, of JSON types."""
        return [exported.to_json() for exported in self.each]

    def __str__(self) -> str:
        return "\n".join(map(str, self.each))


def export_run(run: Run, names: Sequence[str], precision: str, out: Path | None) -> Exports:
    """Export a run in these formats, all of which are refused before any is written; see `linnaea.export`."""
    run.require_finished()
    require_formats(names)
    places = {name: _place(run, name, precision, out, alone=len(names) == 1) for name in names}
    classifier, dataset = load(run.model_folder), run.dataset()
    for name, folder in places.items():
        require_export(classifier, name, precision, folder)
    order = Order(precision, lambda: _seen_in_training(classifier, dataset))
    with run.locked():
        return _exported(run, classifier, dataset, places, order)


def _exported(run: Run, classifier: Classifier, dataset: Dataset, places: dict[str, Path], order: Order) -> Exports:
    """All that pass; raises what one alone raised, and a CheckFailedError for several."""
    paths = dataset.split("test" if len(dataset.split("test")) else "val").paths
    done, failed = [], []
    for name, folder in places.items():
        try:
            exported = export(classifier, name, folder, paths, order)
        except ParityError as error:
            failed.append(error)
            run.add_findings("export", [error.finding])
            continue
        done.append(exported)
        run.add_findings("export", [exported.parity])
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise CheckFailedError(" ".join(map(str, failed)))
    return Exports(tuple(done))


def _place(run: Run, name: str, precision: str, out: Path | None, *, alone: bool) -> Path:
    return out if out is not None and alone else folder_for(out or run.folder / "export", name, precision)


def _seen_in_training(classifier: Classifier, dataset: Dataset) -> Images:
    """Decoded images of train, evenly chosen, for formats that must see some; raises DataError where none is there."""
    paths = dataset.split("train").paths
    rows = np.linspace(0, len(paths) - 1, min(CALIBRATED_ON, len(paths))).round().astype(int).tolist() if paths else []
    decoded = decode_files([paths[row] for row in rows], classifier.recipe).kept()
    if not len(decoded.images):
        raise DataError("none of the run's images of train can be read: put the run's photos back in place.")
    return decoded.images
