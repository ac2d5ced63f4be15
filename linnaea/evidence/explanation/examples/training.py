"""The images that a classifier was trained on, as it sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from linnaea.arrays import Array, Flags, Float32, Floats, Images, Integers, Targets
from linnaea.classifier import Classifier
from linnaea.data.images.pixels import decode_files, decode_in_batches
from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError, UsageError
from linnaea.evidence.explanation.running import require_training
from linnaea.evidence.explanation.subject import Subject
from linnaea.models.feature_cache import embed_once
from linnaea.predictions import label_text
from linnaea.runtime.words import counted

CHANGED = "it is not what it was in training: its SHA-256 differs"


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """The N images of the training split that are as they were, `dataset`, and their `features` (N, D).

    `lost` are those that are gone, changed or cannot be read any more, with the reason.
    """

    classifier: Classifier
    dataset: Dataset
    features: Float32
    lost: tuple[Excluded, ...] = ()

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def targets(self) -> Targets:
        """Class indices (N,) or, of several labels, 0, 1 and NaN (N, K)."""
        return self.dataset.targets

    @cached_property
    def labels(self) -> list[str]:
        """What each was labelled, in words (N,)."""
        return [label_text(label) for label in self.dataset.labels]

    def labelled(self, target: int) -> Flags:
        """Which were labelled as this class, whatever else they were (N,)."""
        targets = self.targets
        return np.asarray(targets[:, target] == 1 if targets.ndim == 2 else targets == target)

    @cached_property
    def logits(self) -> Floats:
        """The raw scores (N, K) that the classifier gives them."""
        return self.classifier.score_features(self.features).raw

    @cached_property
    def _answers(self) -> list[Any]:
        outputs = self.classifier.score_features(self.features)
        if not self.dataset.multilabel:
            return [self.dataset.classes[best] for best in outputs.probabilities.argmax(axis=1)]
        asked: dict[str, Sequence[Any]] = {"id": self.dataset.ids, "truth": self.dataset.labels}
        return self.classifier.answer(outputs, asked, [None] * len(self)).column("label")

    def answered(self, target: int) -> Flags:
        """Which the classifier itself answers with this class, the most probable one or one of several (N,)."""
        name = self.classifier.classes[target]
        return np.array([name in own if isinstance(own, list) else name == own for own in self._answers], dtype=bool)

    @cached_property
    def answers(self) -> list[str]:
        """What the classifier answers for each, in words (N,)."""
        return [label_text(answer) for answer in self._answers]

    def pictures(self, rows: Sequence[int] | Integers) -> Images:
        """The pixels of some of them (n, S, S, C)."""
        places = self.dataset.take([int(row) for row in rows]).paths
        return np.asarray(decode_files(places, self.classifier.recipe, keep=False).images)

    @property
    def said(self) -> str:
        """Which are missing, in a sentence; "" where none is."""
        if not self.lost:
            return ""
        told = counted(len(self.lost), "training image is", "training images are")
        return f"{told} gone or changed and left out: first {self.lost[0].path}, {self.lost[0].reason}."


_KNOWN: WeakKeyDictionary[Subject, TrainingImages] = WeakKeyDictionary()


def training_images(subject: Subject) -> TrainingImages:
    """The images that a classifier was trained on, embedded once.

    Raises UsageError where it is not known which they are or where the classifier sees no difference between them,
    DataError where none of them is left.
    """
    if subject not in _KNOWN:
        found = _embedded(subject.classifier, require_training(subject))
        if len(found) > 1 and not np.ptp(found.features, axis=0).any():
            raise UsageError(
                f"a classifier of the kind {subject.kind} makes the same of every image: none lies nearer than others."
            )
        _KNOWN[subject] = found
    return _KNOWN[subject]


def _embedded(classifier: Classifier, dataset: Dataset) -> TrainingImages:
    kept, lost, features = list[int](), list[Excluded](), list[Float32]()
    ids, expected = dataset.ids, dataset.column("sha256") if dataset.has("sha256") else [None] * len(dataset)
    start = 0
    for decoded in decode_in_batches(dataset.paths, classifier.recipe):
        good = []
        for place, digest in enumerate(decoded.sha256):
            row = start + place
            reason = decoded.failed.get(place) or (CHANGED if expected[row] not in (None, digest) else None)
            if reason is None:
                good.append(place)
            else:
                lost.append(Excluded(ids[row], reason))
        if good:
            features.append(embed_once(classifier.model, decoded.images[good]))
        kept += [start + place for place in good]
        start += len(decoded.sha256)
    if not kept:
        raise DataError(
            f"none of the {len(dataset)} training images is as it was (first {lost[0].path}: {lost[0].reason}): put "
            f"them back at {dataset.root}."
        )
    return TrainingImages(classifier, dataset.take(kept), np.concatenate(features), tuple(lost))


def in_sentences(*sentences: str) -> str:
    """Sentences one after the other, those that are empty left out, without the last full stop."""
    return " ".join(filter(None, sentences)).removesuffix(".")


def as_images(pixels: Array) -> Images:
    """Pixels (N, S, S, C), of uint8 or from 0 to 1, as images of uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    rounded: Images = np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
    return rounded


def embedded(subject: Subject, pixels: Array) -> Float32:
    """Features (N, D) of pixels, by the same way as those of training."""
    return embed_once(subject.classifier.model, as_images(pixels))
