"""`adapt_prior`: the classifier of a run for images among which the classes have other shares."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.evidence.prior import adapt, estimate_prior
from linnaea.run import Run
from linnaea.verbs.predict import predict


def adapt_prior(
    run: str | Path | Run,
    prior: Mapping[str, float] | None = None,
    *,
    images: str | Path | Dataset | Sequence[str | Path] | None = None,
) -> Classifier:
    """A run's classifier for images among which the classes have other shares than in the run's data.

    `prior` states them by name, such as {"sick": 0.01}, classes not named keep their proportions; or they are estimated
    from `images`, which need no labels (Saerens et al. 2002). Probabilities, thresholds, prediction sets and the
    threshold of confidence follow. The run stays as it is: save the classifier to keep it. Raises UsageError or
    DataError.
    """
    opened = run if isinstance(run, Run) else Run.open(run)
    opened.require_finished()
    classifier, val = load(opened.model_folder), opened.predictions("val")
    if (prior is None) == (images is None):
        raise UsageError("give either the class shares as prior, or images to estimate them from.")
    if prior is not None:
        return adapt(classifier, prior, val, "stated")
    assert images is not None
    seen = predict(classifier, images)
    readable = seen.scores()[seen.readable]
    if not len(readable):
        raise DataError("none of the images can be read: there is nothing to estimate the shares from.")
    if not classifier.prior:
        raise UsageError("this classifier does not say for which class shares it was calibrated: train it again.")
    shares = estimate_prior(readable, classifier.prior)
    return adapt(classifier, shares, val, f"estimated from {len(readable)} images")
