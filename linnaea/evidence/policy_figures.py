"""What the decision policy did: how often it answered, and what its prediction sets hold."""

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.contract import FIGURES
from linnaea.evidence.metrics import Scores
from linnaea.evidence.metrics.scores import mean_of_defined, ratio, totals
from linnaea.evidence.uncertainty import of_mean, of_share
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import Statistic
from linnaea.statistics.shares import slack_of_parts
from linnaea.statistics.spread import Sample

NO_SETS = "no prediction sets"


@FIGURES.register(
    "answered_accuracy",
    title="Accuracy when it answers",
    meaning="Share right among images not declined.",
    order=10,
    share=True,
)
def answered_accuracy(predictions: Predictions, right: Flags, sample: Sample) -> Statistic:
    """Of the images that are answered, the share that is `right` (n,)."""
    return of_share(right, predictions.answered("ok"), sample, 'no images with the reason "ok"')


@FIGURES.register(
    "unsure_rate",
    title="Unsure",
    meaning="Share of images declined because the answer was not sure enough.",
    order=20,
    share=True,
)
def unsure_rate(predictions: Predictions, sample: Sample) -> Statistic:
    """The share of all images that is declined as unsure."""
    return of_share(predictions.answered("unsure"), _all_of(predictions), sample, "no images")


@FIGURES.register(
    "unfamiliar_rate",
    title="Unfamiliar",
    meaning="Share declined because they look unlike the training images.",
    order=30,
    share=True,
)
def unfamiliar_rate(predictions: Predictions, sample: Sample) -> Statistic:
    """The share of all images that is declined as unfamiliar."""
    return of_share(predictions.answered("unfamiliar"), _all_of(predictions), sample, "no images")


@FIGURES.register(
    "coverage",
    title="Coverage of the prediction set",
    meaning="Share of images whose set holds the truth.",
    order=100,
    share=True,
)
def coverage(holds: Flags, given: Flags, sample: Sample) -> Statistic:
    """Of the images that are `given` a set (n,), the share of which it `holds` the truth (n,)."""
    return of_share(holds, given, sample, NO_SETS)


@FIGURES.register(
    "class_coverage",
    title="Coverage, mean over classes",
    meaning="Share of images whose set holds the truth, each class counting alike.",
    order=105,
    share=True,
    detail=True,
)
def class_coverage(holds: Flags, given: Flags, scores: Scores, sample: Sample) -> Statistic:
    """The mean over classes of the share of their images, `given` a set (n,), that it `holds` the truth of (n,)."""
    places, classes = np.where(given, scores.targets, -1), scores.classes
    kept, all_of = holds & given, np.ones((1, len(holds)))
    images = totals(all_of, places, classes)[0]
    values = ratio(totals(all_of, places, classes, kept)[0], images)

    def mean(weights: Floats) -> Floats:
        return mean_of_defined(ratio(totals(weights, places, classes, kept), totals(weights, places, classes)))

    return Statistic(
        mean,
        int(given.sum()),
        slack=slack_of_parts(values, images * sample.density) if given.any() else (0.0, 0.0),
        bounds=(0.0, 1.0),
        undefined=NO_SETS,
    )


@FIGURES.register(
    "false_negative_rate",
    title="Missed by the prediction set",
    meaning="Share of an image's labels that its set misses, averaged.",
    order=110,
    share=True,
)
def false_negative_rate(missed: Floats, judged: Flags, sample: Sample, lack: str) -> Statistic:
    """The mean share `missed` (n,) over the images that are `judged` (n,); `lack` says why there may be none."""
    return of_mean(missed, judged, sample, lack, bounds=(0.0, 1.0))


@FIGURES.register(
    "mean_set_size",
    title="Size of the prediction set",
    meaning="Classes named per image, on average; 1 is the most decisive.",
    order=120,
    bounded=False,
    detail=True,
)
def mean_set_size(sizes: Floats, given: Flags, sample: Sample) -> Statistic:
    """The mean of the `sizes` (n,) of the sets that are `given` (n,)."""
    return of_mean(sizes, given, sample, NO_SETS)


def _all_of(predictions: Predictions) -> Flags:
    return np.ones(len(predictions), dtype=bool)
