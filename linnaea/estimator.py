"""Linnaea in scikit-learn's grammar: an estimator for pipelines, searches and cross-validation."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from linnaea.classifier import Classifier
from linnaea.data.decoding import square
from linnaea.data.pixels import Recipe, decode_files
from linnaea.errors import DataError, UsageError
from linnaea.evidence.calibration import calibrate
from linnaea.evidence.openset import fit_familiarity
from linnaea.learning.embedding import embed
from linnaea.learning.rungs import Fitted, Job, Options, Step, steps_for
from linnaea.learning.training import Examples
from linnaea.runtime.plan import pick_device
from linnaea.task import TASKS, infer_task

Images = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]
FILES, PICTURES, ROWS = "image files", "pictures", "rows"
FAMILIARITY_IMAGES = 5_000
SMALLEST, LARGEST, STEP = 16, 128, 16


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns to name pictures; everything scikit-learn does with a classifier works with it.

    X holds paths of image files (N,), pictures (N, H, W) or (N, H, W, 3), or rows (N, D): square grey pictures where
    D is a square number, grey strips one pixel high where it is not. Values of uint8 are brightness as it is; of any
    other type, the lowest and the highest value seen in `fit` become black and white.

    `model` is the name of a rung or of a timm network, `weights` "none", "auto" or a safetensors file, as in
    `linnaea.train`; `img_size` is in pixels (None: what the weights or the pictures suggest, 16 to 128), `epochs` for
    networks. `validation_fraction` of each class is not trained on, but chooses and calibrates. Fitted, it has
    `classes_` and, where X was files or pictures of uint8, `classifier_`.
    """

    def __init__(
        self,
        model: str = "hog",
        *,
        weights: str | Path = "none",
        img_size: int | None = None,
        epochs: int | None = None,
        validation_fraction: float = 0.15,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.weights = weights
        self.img_size = img_size
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> "ImageClassifier":  # noqa: N803
        """Learn from pictures X (N, ...) and their labels y (N,); writes no file.

        Warns when no class has a second picture to validate on. Raises DataError, UsageError or ValueError for what
        cannot be used, and for files that cannot be read, which it names.
        """
        random = check_random_state(self.random_state)
        step, options = self._step(), self._options(int(random.randint(2**31 - 1)))
        self._forget()
        given, self._seen = self._validated(X, reset=True)
        targets = self._encoded(y, given)
        self._span = None if self._is_plain() else (float(given.min()), float(given.max()))
        recipe = Recipe(self._size(given, step), "stretch" if self._seen.startswith(ROWS) else "crop")
        images = self._read(given, recipe)
        train, val = _split(targets, self.validation_fraction, random)
        names = tuple(str(label) for label in self.classes_)
        job = Job(
            Examples(images[train], targets[train]),
            Examples(images[val], targets[val]),
            len(names),
            TASKS[infer_task(names)],
            options,
            weights=step.weights,
            network=step.network,
        )
        with torch.random.fork_rng(devices=[]):
            fitted = step.rung.fit(job)
        provenance = _provenance(step, fitted)
        classifier = Classifier(fitted.model.cpu().eval(), names, job.task.name, recipe, provenance=provenance)
        self._classifier = _finish(classifier, job)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Calibrated probabilities (N, K) in the order of `classes_`; raises DataError for files it cannot read."""
        check_is_fitted(self)
        given, seen = self._validated(X, reset=False)
        if seen != self._seen and not (self._is_plain() and _is_plain(seen)):
            raise DataError(f"X holds {seen}, but fit saw {self._seen}: give the same kind as in fit.")
        _, probabilities, _ = self._classifier.score(self._read(given, self._classifier.recipe))
        return probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The most probable label of each picture (N,)."""
        probabilities = self.predict_proba(X)
        labels: npt.NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels
