"""`predict`: answers for image files."""

from collections.abc import Sequence
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.dataset import Dataset
from linnaea.experiments.image_files import image_files
from linnaea.predictions import Predictions
from linnaea.run import Run


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


def _load_finished(folder: Path) -> Classifier:
    """The classifier of a bundle, or of a run that came to its end."""
    if (folder / "run.json").exists():
        Run.open(folder).require_finished()
    return load(folder)
