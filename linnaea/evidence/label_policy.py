"""What the decision policy did about images that may show several labels."""

import numpy as np

from linnaea.arrays import Flags
from linnaea.evidence.metrics import LabelScores
from linnaea.evidence.metrics.scores import ratio
from linnaea.evidence.uncertainty import of_mean, of_share
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import Statistic
from linnaea.statistics.spread import Sample


def of_label_policy(predictions: Predictions, scores: LabelScores, sample: Sample) -> dict[str, Statistic]:
    """`false_negative_rate`, `mean_set_size`, `unsure_rate` and `unfamiliar_rate`, by name.

    The first is the share of an image's true labels that its prediction set misses, averaged over the images that have
    a set and are known to show any label (Angelopoulos et al. 2024).
    """
    everything = np.ones(len(scores), dtype=bool)
    given, held = _prediction_sets(predictions)
    true = scores.there.sum(axis=1).astype(np.float64)
    missed = np.nan_to_num(ratio((scores.there & ~held).sum(axis=1).astype(np.float64), true))
    judged = given & (true > 0)
    lack = "no prediction sets" if not given.any() else "no images with a set and a true label"
    return {
        "false_negative_rate": of_mean(missed, judged, sample, lack, bounds=(0.0, 1.0)),
        "mean_set_size": of_mean(held.sum(axis=1).astype(np.float64), given, sample, "no prediction sets"),
        "unsure_rate": of_share(predictions.answered("unsure"), everything, sample, "no images"),
        "unfamiliar_rate": of_share(predictions.answered("unfamiliar"), everything, sample, "no images"),
    }


def _prediction_sets(predictions: Predictions) -> tuple[Flags, Flags]:
    """Whether each image has a prediction set (n,), and which labels it holds (n, K)."""
    index = {name: number for number, name in enumerate(predictions.classes)}
    known = predictions.has("prediction_set")
    sets = predictions.column("prediction_set") if known else [None] * len(predictions)
    held = np.zeros((len(sets), len(index)), dtype=bool)
    for row, members in enumerate(sets):
        held[row, [index[name] for name in members or ()]] = True
    return np.array([members is not None for members in sets], dtype=bool), held
