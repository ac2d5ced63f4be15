"""Linnaea in scikit-learn's grammar: an estimator for pipelines, searches and cross-validation."""

import math
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from linnaea.arrays import Images, Integers
from linnaea.classifier import Classifier
from linnaea.data.images.decoding import square
from linnaea.data.images.greys import recipe_for
from linnaea.data.images.pixels import Recipe, decode_files, usual_side
from linnaea.errors import DataError, UsageError
from linnaea.experiments.attempt import Material, attempt
from linnaea.experiments.conclusion import calibrated
from linnaea.learning.examples import Examples
from linnaea.learning.rungs import Options, Step, require_use_of_training, steps_for
from linnaea.runtime.arguments import require_count, require_share
from linnaea.runtime.plan import pick_device
from linnaea.task import infer_task

Given: TypeAlias = list[Path] | npt.NDArray[Any]
PLAIN = ("image files", "images of uint8")  # what means the same to everyone: nothing was scaled or rearranged
FAMILIARITY_IMAGES = 5_000
SIDES = (16, 128)


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learns to name images, wherever scikit-learn takes a classifier.

    X holds paths of image files (N,), images (N, H, W) or (N, H, W, 3), or rows (N, D): square grey images where
    D is a square number, grey strips one pixel high where it is not. Values of uint8 are brightness as it is; of any
    other type, the lowest and the highest value seen in `fit` become black and white.

    `model` is the name of a rung or a network; `weights` is "none", "auto" or a safetensors file; `img_size`
    is in pixels (None: what the weights or the images suggest, 16 to 128); `epochs` is for networks (None: the rung
    knows). The share `validation_fraction` of each class is not trained on: it chooses and calibrates. A number as
    `random_state` repeats a fit exactly, for networks on the same machine, whose clock decides once on their execution
    plan, as long as the cache remembers it. Once fitted, there are `classes_`, sorted, and `classifier_`, which
    predicts with reasons and can be saved.
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
        """Learn from images X (N, ...) and labels y (N,); writes no file.

        Warns when no class has a second image to validate on. Raises DataError, UsageError or scikit-learn's
        ValueError for what cannot be used; files that cannot be read are named.
        """
        for name in ("_classifier", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        random = check_random_state(self.random_state)
        step, options = self._step(), self._options(int(random.randint(2**31 - 1)))
        require_use_of_training(options, [step])
        given, self._kind = self._validated(X, reset=True)
        targets = self._encoded(y, given)
        self._range = None if isinstance(given, list) or given.dtype == np.uint8 else (given.min(), given.max())
        files = given if isinstance(given, list) else []
        recipe = recipe_for(files, self._size(given, step), "stretch" if self._kind.startswith("rows") else "crop")
        images = _decoded(given, recipe, self._range)
        train, val = _split(targets, self.validation_fraction, random)
        names = tuple(str(label) for label in self.classes_)
        columns = {"id": [str(row) for row in val], "truth": [names[target] for target in targets[val]]}
        parts = [Examples(images[rows], targets[rows]) for rows in (train, val)]
        material = Material(parts[0], parts[1], names, infer_task(names), recipe, columns)
        with torch.random.fork_rng(devices=[]):
            done = attempt(step, material, material.job(options, math.inf))
        self._classifier = calibrated(done, material).classifier
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The most probable label of each image (N,)."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: npt.NDArray[Any] = self.classes_[best]
        return labels

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Calibrated probabilities (N, K) in the order of `classes_`; raises DataError for files it cannot read."""
        check_is_fitted(self)
        given, kind = self._validated(X, reset=False)
        if kind != self._kind and not (kind in PLAIN and self._kind in PLAIN):
            raise DataError(f"X holds {kind}, but fit saw {self._kind}: give the same kind as in fit.")
        outputs = self._classifier.score(_decoded(given, self._classifier.recipe, self._range))
        return np.asarray(outputs.probabilities, dtype=np.float32)

    @property
    def classifier_(self) -> Classifier:
        """The Classifier, to save or export; only where `fit` saw files or images of uint8, as it will."""
        check_is_fitted(self)
        if self._kind not in PLAIN:
            raise AttributeError(
                f"there is no classifier_ after fit on {self._kind}: the scale of their values is not part of a "
                f"Classifier; fit on {' or '.join(PLAIN)}."
            )
        return self._classifier

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_classifier")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _step(self) -> Step:
        steps, _ = steps_for(self.model, self.weights)
        if len(steps) != 1 or self.model == "auto":
            raise UsageError(
                f"model is {self.model!r}; expected one rung or network: to choose between several, use GridSearchCV."
            )
        return steps[0]

    def _options(self, seed: int) -> Options:
        if self.epochs is not None:
            require_count("epochs", self.epochs)
        require_share("validation_fraction", self.validation_fraction, 0.15)
        return Options(epochs=self.epochs, device=pick_device(self.device), seed=seed)

    def _validated(self, X: Any, *, reset: bool) -> tuple[Given, str]:  # noqa: N803
        """X as paths, or as an array (N, H, W) or (N, H, W, 3), and the name of its kind."""
        dimensions = _dimensions(X)
        if dimensions == 1 and len(X) and all(isinstance(path, str | Path) for path in X):
            return [Path(path) for path in X], "image files"
        if dimensions <= 2:
            rows = validate_data(self, X, reset=reset)
            side = math.isqrt(rows.shape[1])
            shape = (side, side) if side**2 == rows.shape[1] else (1, rows.shape[1])
            return rows.reshape(-1, *shape), f"rows of {_type(rows)}"
        pictures = check_array(X, allow_nd=True)
        if pictures.ndim > 4 or (pictures.ndim == 4 and pictures.shape[3] != 3) or 0 in pictures.shape:
            raise DataError(
                f"X has the shape {pictures.shape}; expected paths (N,), rows (N, D), or images (N, H, W) or "
                "(N, H, W, 3)."
            )
        return pictures, f"images of {_type(pictures)}"

    def _encoded(self, y: Any, given: Given) -> Integers:
        """Set `classes_` and return the class index of each label (N,)."""
        labels = column_or_1d(y, warn=True)
        check_consistent_length(given, labels)
        assert_all_finite(labels, input_name="y")
        try:
            check_classification_targets(labels)
            self.classes_, targets = np.unique(labels, return_inverse=True)
        except TypeError as error:
            raise DataError(f"the labels in y cannot be sorted ({error}): give labels of one kind.") from None
        if len(self.classes_) < 2:
            raise DataError(f"y has one class, {self.classes_[0]!r}: expected at least two.")
        return targets.astype(np.int64)

    def _size(self, given: Given, step: Step) -> int:
        if self.img_size is not None:
            return self.img_size
        if step.weights is not None:
            return step.weights.size
        usual = (usual_side(given) if isinstance(given, list) else min(given.shape[1:3])) or SIDES[0]
        return int(np.clip(math.ceil(usual / SIDES[0]) * SIDES[0], *SIDES))


def _dimensions(given: Any) -> int:
    try:
        return int(given.ndim if hasattr(given, "ndim") else np.asarray(given).ndim)
    except ValueError:
        raise DataError(
            "X holds arrays of different shapes: resize them to one shape, or give paths of files."
        ) from None


def _type(values: npt.NDArray[Any]) -> str:
    return "uint8" if values.dtype == np.uint8 else "numbers"


def _decoded(given: Given, recipe: Recipe, scale: tuple[float, float] | None) -> Images:
    """Files or arrays to pixels (N, size, size, 3); an array gives the same pixels as a file of it."""
    if isinstance(given, list):
        decoded = decode_files(given, recipe)
        if decoded.failed:
            listed = "; ".join(f"{given[row]}: {reason}" for row, reason in list(decoded.failed.items())[:5])
            raise DataError(f"{len(decoded.failed)} of {len(given)} images cannot be read ({listed}): leave them out.")
        return decoded.images
    brightness = given if scale is None else _scaled(given, *scale)
    pictures = (Image.fromarray(picture).convert("RGB") for picture in brightness)
    return np.stack([np.asarray(square(picture, recipe.size, recipe.fit)) for picture in pictures])


def _scaled(values: npt.NDArray[Any], low: float, high: float) -> Images:
    """Values to brightness, 0 at `low` and 255 at `high`, cut off beyond; warns where much is cut off."""
    low, high = float(low), float(high)
    span = high - low if high > low else 1.0
    shares = (values.astype(np.float64) - low) / span
    if shares.min() < -1 or shares.max() > 2:
        warnings.warn(
            f"X has values from {values.min():g} to {values.max():g}, but fit saw {low:g} to {high:g}: values "
            "beyond that are clipped. Scale both in the same way.",
            stacklevel=4,
        )
    brightness: Images = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    return brightness


def _split(targets: Integers, share: float, random: np.random.RandomState) -> tuple[Integers, Integers]:
    """Positions to train on and to validate on: of each class its share, at least one where there are two."""
    chosen: list[int] = []
    for number in range(targets.max() + 1):
        rows = random.permutation(np.flatnonzero(targets == number))
        chosen.extend(rows[: min(len(rows) - 1, max(1, round(share * len(rows))))])
    everything = np.arange(len(targets))
    if not chosen:
        warnings.warn(
            "no class has a second image to validate on: the training images also choose and calibrate, so the "
            "probabilities are too confident. Give at least two images of a class.",
            stacklevel=3,
        )
        return everything, everything
    return np.setdiff1d(everything, chosen), np.sort(chosen)
