"""What gaps read: what is true of each image and what was answered, class by class, whatever the task."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.metrics import Judged, LabelScores, Scores, TreeScores
from linnaea.evidence.metrics.two_classes import POSITIVE
from linnaea.predictions import Predictions

MOST_CLASSES = 20  # that are looked at one by one


@dataclass(frozen=True, eq=False)
class Facts:
    """What was answered about n images; images of which nothing is known play no part."""

    predictions: Predictions
    scores: Judged

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def counted(self) -> Flags:
        """The images (n,) of which anything is known."""
        return self.scores.counted

    @property
    def labels(self) -> LabelScores | None:
        """The decisions about labels, where an image may show several."""
        return self.scores if isinstance(self.scores, LabelScores) else None

    @cached_property
    def looked_at(self) -> Integers:
        """The classes that are told one by one: of two the positive one, of many the 20 with most images."""
        if self.predictions.task == "binary":
            return np.array([POSITIVE])
        images = np.array([self.truth(number)[0].sum() for number in range(self.scores.classes)])
        most = np.argsort(-images, kind="stable")[:MOST_CLASSES]
        return np.sort(most[images[most] > 0])

    def name(self, number: int) -> str:
        """The name of a class."""
        return self.predictions.classes[number]

    def truth(self, number: int) -> tuple[Flags, Flags]:
        """Which images show the class (n,), and of which that is known (n,)."""
        labels = self.labels
        if labels is not None:
            return labels.there[:, number], labels.known[:, number]
        assert isinstance(self.scores, Scores), "with one label per image"
        return self.scores.targets == number, np.ones(len(self), dtype=bool)

    def answered(self, number: int) -> Flags:
        """Which images are answered with the class (n,); of a taxonomy, whose most probable class it is."""
        labels = self.labels
        if labels is not None:
            return np.asarray(labels.answers[:, number] == 1)
        assert isinstance(self.scores, Scores), "with one label per image"
        return np.asarray(self.scores.answers == number)

    @cached_property
    def right(self) -> Floats:
        """Whether each answer is right; of several labels, the share of its known labels that are (n,)."""
        labels = self.labels
        if labels is None:
            return self.scores.hits.astype(np.float64)
        known = labels.known.sum(axis=1)
        return np.asarray(1 - labels.wrong.sum(axis=1) / np.maximum(known, 1))

    @cached_property
    def confidence(self) -> Floats:
        """The probability of what was answered or, of several labels, the mean one of a known label (n,)."""
        labels = self.labels
        if labels is None:
            assert isinstance(self.scores, Scores), "with one label per image"
            return self.scores.confidence
        known = np.maximum(labels.known.sum(axis=1), 1)
        return np.asarray(np.where(labels.known, labels.probabilities, 0.0).sum(axis=1) / known)

    @cached_property
    def came_true(self) -> Floats:
        """What the confidence is the probability of (n,): that the answer is right, or the share of labels there."""
        labels = self.labels
        if labels is None:
            return self.scores.hits.astype(np.float64)
        return np.asarray(labels.there.sum(axis=1) / np.maximum(labels.known.sum(axis=1), 1))

    @property
    def in_tree(self) -> bool:
        """Whether classes lie below groups of classes."""
        return isinstance(self.scores, TreeScores)
