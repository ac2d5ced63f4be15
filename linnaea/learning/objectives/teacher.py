"""The classifier that an objective learns from beside labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.arrays import Images
from linnaea.classifier import Classifier, load
from linnaea.errors import BundleError, UsageError
from linnaea.runtime.files import sha256_of
from linnaea.runtime.plan import Plan

LEAST = 1e-12  # of a probability
MOST_NAMED = 5


@dataclass(frozen=True)
class Teacher:
    """What a classifier says of batches of images, for the classes in the order of the training (`order`)."""

    classifier: Classifier
    order: tuple[int, ...]

    @classmethod
    def of(cls, folder: str | Path, classes: Sequence[str], task: str, channels: int) -> "Teacher":
        """The classifier of a run or bundle; raises UsageError where it is not there or does not fit these data."""
        try:
            classifier = load(folder)
        except BundleError as error:
            raise UsageError(
                f"teacher is {folder}; expected the folder of a finished run or of a classifier: {error}"
            ) from None
        _require_same(folder, classifier, classes, task)
        if classifier.recipe.channels != channels:
            raise UsageError(
                f"the teacher {folder} sees images of {classifier.recipe.channels} channels, but these have "
                f"{channels}: give the same --channels, or another teacher."
            )
        return cls(classifier, tuple(classifier.classes.index(name) for name in classes))

    def on(self, device: str) -> "Teacher":
        """The same on a device, where it can be moved there."""
        return replace(self, classifier=self.classifier.to(device)) if self.classifier.scorer.gradients else self

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """The logarithms of its calibrated probabilities (N, K), of images (N, 3, S, S) of uint8, on their device.

        What is added to all of an image's logits changes no softmax, whatever its temperature.
        """
        plan = Plan(self.classifier.scorer.device, batch_size=len(images))
        said = self.classifier.score(self._seen(images), plan).probabilities[:, list(self.order)]
        return torch.from_numpy(said).float().clamp(min=LEAST).log().to(images.device)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Its features (N, D) of images (N, 3, S, S) of uint8, on their device."""
        scorer = self.classifier.scorer
        plan = Plan(scorer.device, batch_size=len(images))
        parts = [part for part, _ in scorer.batches(self._seen(images), plan) if part is not None]
        return torch.cat(parts).float().to(images.device)

    @property
    def length(self) -> int:
        """How many features it has; raises UsageError where it gives none."""
        if not self.classifier.scorer.features:
            raise UsageError(
                f"the teacher is a {self.classifier.scorer.kind} file and gives no features: use the run that it was "
                "exported from, or --objective distillation."
            )
        size = self.classifier.recipe.size
        return int(self.features(torch.zeros(1, 3, size, size, dtype=torch.uint8)).shape[1])

    def _seen(self, images: Tensor) -> Images:
        """The images at the teacher's own size, (N, S, S, 3)."""
        size = self.classifier.recipe.size
        if images.shape[-1] != size:
            resized = functional.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
            images = resized.round().clamp(0, 255).to(torch.uint8)
        return np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy())


def fingerprint(folder: str | Path) -> str:
    """What tells a teacher from another one: the SHA-256 of the description of its bundle."""
    root = Path(folder) / "model" if (Path(folder) / "model").is_dir() else Path(folder)
    return sha256_of(root / "classifier.json")


def _require_same(folder: str | Path, classifier: Classifier, classes: Sequence[str], task: str) -> None:
    """Raise UsageError unless the teacher is of this task and these classes, with the difference."""
    if classifier.task != task:
        raise UsageError(
            f"the teacher {folder} is for {classifier.task} data, but these are {task}: train a teacher on such data."
        )
    unknown, more = (
        sorted(set(first) - set(second))
        for first, second in ((classes, classifier.classes), (classifier.classes, classes))
    )
    if unknown or more:
        told = [
            f"{what} {_listed(names)}"
            for what, names in (("it does not know", unknown), ("it also knows", more))
            if names
        ]
        raise UsageError(
            f"the teacher {folder} has other classes than these data: {' and '.join(told)}. Expected the same ones: "
            "train it on the same classes."
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"
