"""Sets on a stream where the truth is told afterwards: coverage is kept even where images change."""

from dataclasses import dataclass, field

import numpy as np

from linnaea.arrays import Floats
from linnaea.classifier import Classifier
from linnaea.decisions import mass_above
from linnaea.errors import DataError, UsageError
from linnaea.predictions import Predictions
from linnaea.runtime.arguments import require_share
from linnaea.task import TASKS

RATE = 0.02


@dataclass
class AdaptiveSets:
    """Adaptive conformal inference (Gibbs and Candes 2021): the level follows the misses that are reported.

    `strangeness` (n,), sorted, are those of the truths of val; `missed` is the share of misses that is asked for now:
    after each reported truth it moves by `rate` times how far that was from what was asked for. Whatever comes, over T
    reported images the share of misses lies within (1 + rate) / (rate T) of 1 - `coverage`. By `mass` an image's
    strangeness is the probability of the likelier classes, else one less the probability of the class.
    """

    classes: tuple[str, ...]
    coverage: float
    strangeness: Floats
    rate: float = RATE
    mass: bool = False
    penalty: float = 0.0
    free: int = 0
    missed: float = field(init=False)
    reported: int = field(default=0, init=False)
    misses: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        require_share("coverage", self.coverage, 0.9)
        require_share("rate", self.rate, RATE)
        if not len(self.strangeness) or not np.isfinite(self.strangeness).all():
            raise DataError(
                f"there are {len(self.strangeness)} scores of val images to start from, of which "
                f"{int((~np.isfinite(self.strangeness)).sum())} are not numbers: expected one or more numbers."
            )
        self.strangeness = np.sort(np.asarray(self.strangeness, dtype=np.float64))
        self.missed = 1 - self.coverage

    @classmethod
    def of(cls, classifier: Classifier, val: Predictions, rate: float = RATE) -> "AdaptiveSets":
        """Start from a classifier and what it said of its val images, by the method of its sets.

        Those with a threshold for each class or answer start from the probability of the truth. Raises UsageError for
        several labels per image, DataError where no val image can be read.
        """
        if TASKS[classifier.task].multilabel:
            raise UsageError("sets that follow a stream are for one label per image: there is no miss of several.")
        policy = classifier.policy
        mass = policy.sets in ("aps", "raps")
        start = cls(classifier.classes, policy.coverage, np.zeros(1), rate, mass, policy.set_penalty, policy.set_free)
        rows = np.flatnonzero(val.readable)
        if not len(rows):
            raise DataError("no val image can be read: there is nothing to start from.")
        strange = start.strange(val.scores()[rows])
        truths = np.take_along_axis(strange, val.targets[rows][:, None], axis=1)[:, 0]
        return cls(classifier.classes, policy.coverage, truths, rate, mass, policy.set_penalty, policy.set_free)

    def strange(self, probabilities: Floats) -> Floats:
        """The strangeness of each class (N, K) of probabilities (N, K)."""
        if self.mass:
            return mass_above(probabilities, self.penalty, self.free)
        return np.asarray(1 - probabilities)

    @property
    def highest(self) -> float:
        """The strangeness that is allowed now: infinite below a share of 0, less than any from a share of 1 on."""
        wanted = int(np.ceil((1 - self.missed) * (len(self.strangeness) + 1) - 1e-9))
        if wanted > len(self.strangeness):
            return float("inf")
        return float(self.strangeness[wanted - 1]) if wanted > 0 else -float("inf")

    def sets(self, probabilities: Floats) -> list[list[str]]:
        """The set of each of N images now, the likeliest class first; the likeliest always belongs."""
        chosen = self.strange(probabilities) <= self.highest
        order = np.argsort(-probabilities, axis=1, kind="stable")
        chosen[np.arange(len(order)), order[:, 0]] = True
        return [
            [self.classes[k] for k in ranks if held[k]]
            for ranks, held in zip(order.tolist(), chosen.tolist(), strict=True)
        ]

    def report(self, probabilities: Floats, truth: str) -> bool:
        """Tell the truth of an image, of which the probabilities were (K,): whether it was missed.

        The set that counts is the one without the likeliest class where that would not belong.
        """
        if truth not in self.classes:
            raise UsageError(f"the truth is {truth!r}; expected one of {', '.join(self.classes[:5])}.")
        if not np.isfinite(probabilities).all():
            raise DataError("the probabilities are not numbers: an image without an answer has no set.")
        own = self.strange(probabilities[None])[0, self.classes.index(truth)]
        missed = bool(own > self.highest)
        self.missed += self.rate * (1 - self.coverage - missed)
        self.reported, self.misses = self.reported + 1, self.misses + missed
        return missed
