"""The classifier of a run for images among which the classes have other shares."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.evidence.prior import adapt
from linnaea.experiments.image_files import image_files
from linnaea.run import Run
from linnaea.statistics.label_shift import estimate_prior


def adapted(
    opened: Run, prior: Mapping[str, float] | None, images: str | Path | Dataset | Sequence[str | Path] | None
) -> Classifier:
    """The run's classifier for other shares of the classes, stated or estimated; see `linnaea.adapt_prior`."""
    opened.require_finished()
    classifier, val = load(opened.model_folder), opened.predictions("val")
    if (prior is None) == (images is None):
        raise UsageError("give either the class shares as prior, or images to estimate them from.")
    if prior is not None:
        return adapt(classifier, prior, val, "stated")
    assert images is not None
    seen = classifier.predict(images if isinstance(images, Dataset) else image_files(images))
    readable = seen.scores()[seen.readable]
    if not len(readable):
        raise DataError("none of the images can be read: there is nothing to estimate the shares from.")
    if not classifier.prior:
        raise UsageError("this classifier does not say for which class shares it was calibrated: train it again.")
    shares = estimate_prior(readable, classifier.prior)
    return adapt(classifier, shares, val, f"estimated from {len(readable)} images")
