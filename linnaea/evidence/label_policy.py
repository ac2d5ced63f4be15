"""What the decision policy did about images that may show several labels."""

import numpy as np

from linnaea.arrays import Flags
from linnaea.evidence.metrics import LabelScores
from linnaea.evidence.metrics.scores import ratio
from linnaea.evidence.policy_figures import (
    NO_SETS,
    false_negative_rate,
    mean_set_size,
    unfamiliar_rate,
    unsure_rate,
)
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import Statistic
from linnaea.statistics.spread import Sample


def of_label_policy(predictions: Predictions, scores: LabelScores, sample: Sample) -> dict[str, Statistic]:
    """`false_negative_rate`, `mean_set_size`, `unsure_rate` and `unfamiliar_rate`, by name.

    The first is the share of an image's true labels that its prediction set misses, averaged over the images that have
    a set and are known to show any label (Angelopoulos et al. 2024).
    """
    given, held = _prediction_sets(predictions)
    true = scores.there.sum(axis=1).astype(np.float64)
    missed = np.nan_to_num(ratio((scores.there & ~held).sum(axis=1).astype(np.float64), true))
    judged = given & (true > 0)
    lack = NO_SETS if not given.any() else "no images with a set and a true label"
    return {
        "false_negative_rate": false_negative_rate(missed, judged, sample, lack),
        "mean_set_size": mean_set_size(held.sum(axis=1).astype(np.float64), given, sample),
        "unsure_rate": unsure_rate(predictions, sample),
        "unfamiliar_rate": unfamiliar_rate(predictions, sample),
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
