"""Exporting a run: several formats, each into its own folder, compared on the run's own images."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from linnaea.arrays import Images
from linnaea.classifier import Classifier, load
from linnaea.data.images.pixels import decode_files
from linnaea.dataset import Dataset
from linnaea.delivery.compression.calibration_images import calibration_rows
from linnaea.delivery.exporters import (
    Exported,
    Order,
    ParityError,
    export,
    folder_for,
    require_export,
    require_formats,
)
from linnaea.delivery.exporters.precisions import INTEGERS
from linnaea.errors import CheckFailedError, DataError, LinnaeaError, UsageError
from linnaea.run import Run

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

    @property
    def next(self) -> list[str]:
        """What comes next after each."""
        return [exported.next for exported in self.each]

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
    order = Order(precision, cache(partial(_seen_in_training, classifier, dataset)))
    if precision == INTEGERS and classifier.scorer.kind != "compiled":
        calibration_rows(dataset.split("train").targets)  # which refuses those of one class
    with run.locked():
        return _exported(run, classifier, dataset, places, order)


def _exported(run: Run, classifier: Classifier, dataset: Dataset, places: dict[str, Path], order: Order) -> Exports:
    """All that can be made, each whatever becomes of the others; raises what went wrong with any."""
    paths = dataset.split("test" if len(dataset.split("test")) else "val").paths
    done: list[Exported] = []
    failed: list[LinnaeaError] = []
    for name, folder in places.items():
        try:
            exported = export(classifier, name, folder, paths, order)
        except KeyboardInterrupt:
            written = ", ".join(str(one.folder) for one in done)
            logger.warning(f"{f'Written: {written}' if done else 'Nothing was exported'}; run the same command again.")
            raise
        except LinnaeaError as error:
            failed.append(error)
            if isinstance(error, ParityError):
                run.add_findings("export", [error.finding])
            continue
        done.append(exported)
        run.add_findings("export", [exported.parity])
    if failed:
        raise _all_of(failed, done)
    return Exports(tuple(done))


def _all_of(failed: Sequence[LinnaeaError], done: Sequence[Exported]) -> LinnaeaError:
    """One error that says what went wrong with each, and what was written; itself where it is all there is."""
    if len(failed) == 1 and not done:
        return failed[0]
    said = [str(error) for error in failed]
    said += [f"Written: {', '.join(str(exported.folder) for exported in done)}."] if done else []
    kind = UsageError if all(isinstance(error, UsageError) for error in failed) else CheckFailedError
    return kind(" ".join(dict.fromkeys(said)))


def _place(run: Run, name: str, precision: str, out: Path | None, *, alone: bool) -> Path:
    return out if out is not None and alone else folder_for(out or run.folder / "export", name, precision)


def _seen_in_training(classifier: Classifier, dataset: Dataset) -> Images:
    """Decoded images of train, by turns of every class, for formats that must see some.

    Raises DataError where those that can be read show a single class, or none can.
    """
    train = dataset.split("train")
    targets, paths = train.targets, train.paths
    rows = calibration_rows(targets)
    decoded = decode_files([paths[row] for row in rows], classifier.recipe)
    read = [row for place, row in enumerate(rows) if place not in decoded.failed]
    if not read:
        raise DataError("none of the run's images of train can be read: put the run's photos back in place.")
    calibration_rows(targets[read])
    return decoded.kept().images
