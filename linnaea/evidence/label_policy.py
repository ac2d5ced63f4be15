"""What the decision policy did about images that may show several labels."""

import numpy as np

from linnaea.evidence.metrics import LabelScores
from linnaea.evidence.metrics.scores import ratio
from linnaea.evidence.policy_figures import (
    NO_SETS,
    false_negative_rate,
    mean_set_size,
    unfamiliar_rate,
    unsure_rate,
)
from linnaea.evidence.set_tables import label_sets
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import Statistic
from linnaea.statistics.spread import Sample


def of_label_policy(predictions: Predictions, scores: LabelScores, sample: Sample) -> dict[str, Statistic]:
    """`false_negative_rate`, `mean_set_size`, `unsure_rate` and `unfamiliar_rate`, by name.

    The first is the share of an image's true labels that its prediction set misses, averaged over the images that have
    a set and are known to show any label (Angelopoulos et al. 2024).
    """
    given, held = label_sets(predictions)
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
