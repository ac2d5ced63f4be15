"""What metrics of several labels read: which labels an image shows, which it was given, and what nobody knows."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_expit

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.metrics.scores import BINS, Judged, Ranking, finite_scores
from linnaea.predictions import Predictions


@dataclass(frozen=True, eq=False)
class LabelScores(Judged):
    """What was answered about n images that may show any of K labels.

    `targets` (n, K) are 1 where an image shows a label, 0 where it does not, NaN where nobody knows: unknown is not
    absent, and such a decision plays no part in any figure. `answers` (n, K) are 1 and 0, all 0 for an unreadable
    image, which is answered with no label. `probabilities` and `log_likelihood` (the logarithm of the probability
    given to what is true) (n, K) are NaN there; the second also where nobody knows.
    """

    targets: Floats
    answers: Floats
    probabilities: Floats
    log_likelihood: Floats
    readable: Flags

    @classmethod
    def of(cls, predictions: Predictions) -> "LabelScores":
        """Derive the arrays; raises DataError for an image without truth or a readable one without probabilities."""
        targets = predictions.targets.astype(np.float64)
        probabilities = finite_scores(predictions)
        answers = np.nan_to_num(predictions.answers).astype(np.float64)
        likelihood = _log_likelihood(predictions, targets, probabilities)
        return cls(targets, answers, probabilities, likelihood, predictions.readable)

    @cached_property
    def known(self) -> Flags:
        """The decisions (n, K) of which it is known what is right."""
        return np.asarray(~np.isnan(self.targets))

    @cached_property
    def there(self) -> Flags:
        """The labels (n, K) that images are known to show."""
        return np.asarray(self.targets == 1)

    @cached_property
    def named(self) -> Flags:
        """The labels (n, K) that images were given, among those that are known to be there or not."""
        return np.asarray((self.answers == 1) & self.known)

    @cached_property
    def wrong(self) -> Flags:
        """The wrong decisions (n, K): labels that were missed, and labels given that are not there."""
        return np.asarray(self.there != self.named)

    @property
    def counted(self) -> Flags:
        """The images (n,) of which at least one label is known to be there or not."""
        return np.asarray(self.known.any(axis=1))

    @cached_property
    def hits(self) -> Flags:
        """Whether an image could be read and all that is known of it was answered correctly (n,)."""
        return np.asarray(self.counted & self.readable & ~self.wrong.any(axis=1))

    def lack(self, used: Flags) -> str:
        """What a figure of order lacks that is not defined on the `used` images (n,), of which there are some."""
        there, absent = (self.targets[used] == value for value in (1, 0))
        if not (there.any(axis=0) & absent.any(axis=0)).any():
            return "no label is known to be present in some images and absent in others"
        return "not on these images"

    @cached_property
    def bins(self) -> Integers:
        """The bin of each probability (n, K) among `BINS` of equal width, closed above; -1 where nothing is known."""
        places = np.digitize(self.probabilities, np.linspace(0, 1, BINS + 1)[1:-1], right=True).astype(np.int64)
        return np.where(self.known & self.readable[:, None], places, -1)

    @cached_property
    def rankings(self) -> list[Ranking]:
        """A ranking per label of the images of which it is known whether they show it."""
        return [self._ranking(number) for number in range(self.classes)]

    def _ranking(self, number: int) -> Ranking:
        rows = np.flatnonzero(self.known[:, number])
        ranking = Ranking.of(self.probabilities[rows, number], self.there[rows, number])
        return Ranking(rows[ranking.order].astype(np.int32), ranking.positives, ranking.first, ranking.behind)


def _log_likelihood(predictions: Predictions, targets: Floats, probabilities: Floats) -> Floats:
    floor = float(np.finfo(np.float32).tiny)
    chosen = np.where(targets == 1, probabilities, 1 - probabilities)
    chosen[np.isnan(targets)] = np.nan
    likelihood: Floats = np.log(np.maximum(chosen, floor))
    if not predictions.has("logits") or not len(targets):
        return likelihood
    logits = predictions.scores("logits")
    stable: Floats = log_expit(np.where(targets == 1, logits, -logits))
    stable[np.isnan(targets)] = np.nan
    # Calibrated probabilities need not be the sigmoid of the logits: then the probabilities are what was said.
    agree = np.allclose(np.exp(stable), chosen, rtol=1e-3, atol=1e-5, equal_nan=True)
    return stable if agree else likelihood
