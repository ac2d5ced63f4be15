"""What windows are compared with: the images that the classifier was judged on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from linnaea.classifier import Classifier
from linnaea.delivery.monitoring import Seen
from linnaea.errors import DataError, UsageError
from linnaea.experiments.finished_run import own_images
from linnaea.experiments.monitoring.looking import look_at
from linnaea.predictions import OWN, Predictions
from linnaea.run import Run

TEST = "test"
MOST = 10_000  # images that are decoded again


@dataclass(frozen=True, eq=False)
class Reference:
    """What the classifier was judged on, `named` in words; `notes` say what could not be had of it."""

    seen: Seen
    named: str
    notes: tuple[str, ...] = ()
    root: Path | None = None


def require_reference(given: str | Path, classifier: Classifier, run: Run | None, place: object) -> Predictions:
    """The predictions that are the reference: those of the run's own split, or those in a file.

    Raises UsageError where there is no run around an exported file, and for predictions of other classes.
    """
    if str(given) == TEST:
        if run is None:
            raise UsageError(
                f"there is no run around {place} whose test split could be the reference: give --reference "
                "PREDICTIONS.parquet, as `linnaea predict` and `linnaea evaluate` write it."
            )
        return run.predictions(run.judged_on)
    if Path(given).suffix != ".parquet":
        raise UsageError(f"reference is {given}; expected {TEST}, or a file of predictions that ends in .parquet.")
    predictions = Predictions.read(Path(given))
    if predictions.classes != classifier.classes:
        raise UsageError(
            f"the predictions in {given} are of the classes {_few(predictions.classes)}, and the classifier has "
            f"{_few(classifier.classes)}: give predictions of this classifier."
        )
    return predictions


def reference_of(
    given: str | Path, predictions: Predictions, classifier: Classifier, run: Run | None, *, decode: bool, seed: int
) -> Reference:
    """The reference with looks and features of its images, where `decode` asks for them and they are at hand."""
    own = str(given) == TEST
    named = f"the {run.judged_on} split of {run.folder.resolve().name}" if own and run is not None else str(given)
    notes = [_NO_TEST] if own and run is not None and run.judged_on != TEST else []
    if len(predictions) > MOST and decode and own:
        rows = np.sort(np.random.default_rng(seed).permutation(len(predictions))[:MOST])
        predictions = predictions.with_table(predictions.table.take(rows))
        notes.append(f"{MOST:,} images of the reference, drawn by the seed {seed}, are looked at.")
    known = [name for name in predictions.table.column_names if name not in OWN]
    seen = Seen.of_predictions(predictions, slices={name: predictions.column(name) for name in known})
    if not (decode and own and run is not None):
        return Reference(seen, named, tuple(notes))
    try:
        _, dataset = own_images(run)
    except DataError as error:
        notes.append(f"Pixels and features are not compared: {error}")
        return Reference(seen, named, tuple(notes))
    places = dict(zip(dataset.ids, dataset.paths, strict=True))
    there = [row for row, name in enumerate(seen.ids) if name in places]
    if len(there) < len(seen):
        notes.append(f"{len(seen) - len(there)} images of the reference are not among those of the run.")
        seen = seen.take(there)
    if len(seen):
        looked = look_at(classifier, [places[name] for name in seen.ids])
        seen = seen.with_(looks=looked.looks, features=looked.features, images=[places[name] for name in seen.ids])
    return Reference(seen, named, tuple(notes), dataset.root)


_NO_TEST = (
    "The run has no test split: the reference is val, which also chose the model and its thresholds, so that it may be "
    "answered with more confidence than new images are."
)


def _few(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:5]) + ", ..." * (len(classes) > 5)
