"""`predict` and `export`: answers for image files, here or by an exported file elsewhere."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.data.sources.archives import detects as is_archive
from linnaea.data.sources.assembling import SUFFIXES
from linnaea.data.sources.folders import images_in
from linnaea.dataset import Dataset
from linnaea.delivery.exporters import Exported
from linnaea.delivery.exporters import export as export_classifier
from linnaea.errors import DataError, UsageError
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.arguments import require_there
from linnaea.runtime.containers import Located
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")


def predict(
    classifier: Classifier | str | Path,
    images: str | Path | Dataset | Sequence[str | Path],
    *,
    precision: str = "float32",
    damaged: str = "refuse",
    max_pixels: int | None = None,
) -> Predictions:
    """Answer for image files; folders and archives among them stand for the images in them.

    What else lies there is counted, with the reason. `precision` and `damaged` are as for `Classifier.predict`; images
    of more than `max_pixels` (None: as in training) are not decoded. Raises DataError for a path that does not exist
    and a folder without images.
    """
    loaded = classifier if isinstance(classifier, Classifier) else _load_finished(Path(classifier))
    paths = images if isinstance(images, Dataset) else image_files(images)
    return loaded.allowing(max_pixels).predict(paths, precision=precision, damaged=damaged)


def export(run: str | Path, to: str = "onnx", *, out: str | Path | None = None) -> Exported:
    """Export a run's classifier and check that the exported file answers the same; see `linnaea.delivery.exporters`."""
    opened = Run.open(run)
    opened.require_finished()
    dataset = opened.dataset()
    name = "test" if len(dataset.split("test")) else "val"
    folder = Path(out) if out is not None else opened.folder / "export" / to
    if folder.exists() and any(folder.iterdir()) and not list(folder.glob("model.*")):
        raise UsageError(f"{folder} holds other files: give an empty or a new folder with --out.")
    with opened.locked():
        exported = export_classifier(load(opened.model_folder), to, folder, dataset.split(name).paths)
        opened.write_findings("export", [exported.parity])
    return exported


def image_files(images: str | Path | Sequence[str | Path]) -> list[Located]:
    """The image files that are named, and those in folders and archives, of which others are counted.

    Raises DataError where there are none.
    """
    paths = [Path(images)] if isinstance(images, str | Path) else [Path(path) for path in images]
    require_there(paths)
    return [file for path in paths for file in (_within(path) if path.is_dir() or is_archive(path) else [path])]


def _load_finished(folder: Path) -> Classifier:
    """The classifier of a bundle, or of a run that came to its end."""
    if (folder / "run.json").exists():
        Run.open(folder).require_finished()
    return load(folder)


def _within(place: Path) -> list[Located]:
    found, others = images_in(place)
    if others:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(each.reason for each in others).items())
        left_out = counted(len(others), "file is left out", "files are left out")
        logger.warning(f"{place}: {left_out}: {reasons}.")
    if not found:
        raise DataError(
            f"{place} has no images: expected files ending in {' '.join(SUFFIXES)} in it or in its subfolders."
        )
    return found
