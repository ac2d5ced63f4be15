"""A classifier is what a run leaves behind: a model with its preprocessing, class names, calibration and policy."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from linnaea import decisions
from linnaea.arrays import Float32, Images
from linnaea.classifier.bundle import read_bundle, write_bundle
from linnaea.classifier.schema import require_schema
from linnaea.data.images.decoding import MOST_PIXELS, WHITE
from linnaea.data.images.pixels import Recipe, decode_in_batches
from linnaea.dataset import Dataset
from linnaea.decisions import UNDEFINED, Outputs, Policy
from linnaea.errors import BundleError, DataError, LinnaeaError
from linnaea.models import build, fill
from linnaea.models.embedding import embed, measure_embedding
from linnaea.models.familiarity import Familiarity, build_familiarity
from linnaea.models.model import Model, to_pixels
from linnaea.predictions import Predictions
from linnaea.runtime.arguments import DAMAGED, require_all, require_one_of
from linnaea.runtime.containers import Located
from linnaea.runtime.plan import Plan, pick_precision
from linnaea.task import TASKS, Task
from linnaea.taxonomy import Taxonomy

logger = logging.getLogger("linnaea")
EARLIER_BOUNDS = {"max_pixels": MOST_PIXELS, "white": WHITE}


class Answering(nn.Module):
    """The whole of a classifier after decoding: images (N, S, S, 3) of uint8 to logits, probabilities and OOD score.

    This one graph predicts here and is what an export carries.
    """

    prior_shift: Tensor | None

    def __init__(
        self,
        model: Model,
        familiarity: Familiarity | None,
        temperature: float,
        task: Task,
        prior_shift: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.model, self.familiarity, self.temperature, self.task = model, familiarity, temperature, task
        shift = torch.tensor(prior_shift, dtype=torch.float32) if prior_shift else None
        self.register_buffer("prior_shift", shift, persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Calibrated logits (N, K), probabilities (N, K) and OOD scores (N,), zero without a familiarity score."""
        return self.from_features(self.model.features(to_pixels(images)))

    def from_features(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same from the model's features (N, D)."""
        raw = self.model.head(features)
        logits = raw / self.temperature
        if self.prior_shift is not None:
            logits = logits + self.prior_shift.to(logits.device)
        scores = self.familiarity(features, raw) if self.familiarity is not None else features[:, 0] * 0
        return logits, self.task.activation(logits), scores


@dataclass(frozen=True)
class Classifier:
    """Maps image files to answers; immutable, so that makers return a new one.

    `model` maps pixels to logits, `recipe` files to pixels; `temperature` calibrates; `familiarity` and `policy`
    decide when not to answer; `provenance` says where all of it came from. `prior` (K,) are the mean probabilities over
    the images it was calibrated on; `prior_shift` (K,) is added to calibrated logits for other shares of the classes
    (empty: nothing is).
    """

    model: Model
    classes: tuple[str, ...]
    task: str
    recipe: Recipe
    temperature: float = 1.0
    prior: tuple[float, ...] = ()
    prior_shift: tuple[float, ...] = ()
    familiarity: Familiarity | None = None
    policy: Policy = field(default_factory=Policy)
    provenance: dict[str, Any] = field(default_factory=dict)

    def predict(
        self,
        images: "str | Path | Dataset | Sequence[str | Located]",
        *,
        precision: str = "float32",
        damaged: str = "refuse",
    ) -> Predictions:
        """Answer for a file, several files, or a dataset, whose labels become the truth.

        `precision` is a number format, or "auto" for the fastest of those whose features agree with float32, measured
        on the first images where there are many. Where one label per image stands against several, they cannot be
        compared, and there is no truth. Returns a row per image. One that cannot be read has the reason `unreadable`,
        one of which the model says what is not a number `undefined`, and nothing else is answered. A `damaged` image,
        of which part is missing, is unreadable too ("refuse"), or what is left of it is answered, with the reason
        `damaged` ("answer"). Raises DataError when there is nothing to predict, UsageError for an unknown precision.
        """
        pick_precision(precision, self.model.device.type)
        require_one_of(DAMAGED, "damaged", damaged)
        paths, columns = _inputs(images, several=TASKS[self.task].multilabel)
        if not paths:
            raise DataError("there are no images to predict: give at least one.")
        failed: list[str | None] = []
        harmed: dict[int, str] = {}
        parts, plan = [], None
        for decoded in decode_in_batches(paths, self.recipe, salvage=damaged == "answer"):
            harmed |= {len(failed) + row: reason for row, reason in decoded.damaged.items()}
            failed += [decoded.failed.get(row) for row in range(len(decoded.sha256))]
            if plan is None and precision != "float32" and len(decoded.failed) < len(decoded.sha256):
                plan = measure_embedding(self.model, decoded.kept().images, precision, count=len(paths))
                logger.info(f"Features are computed in {plan.precision}.")
            parts.append(self.score(decoded.images, plan))
        logits, probabilities, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
        return self.answer(logits, probabilities, scores, columns, failed).with_reason("damaged", harmed)

    def allowing(self, max_pixels: int | None) -> "Classifier":
        """The same for images of up to so many pixels; None: of as many as before."""
        return self if max_pixels is None else self.with_(recipe=replace(self.recipe, max_pixels=max_pixels))

    def predict_proba(self, images: "str | Path | Dataset | Sequence[str | Located]") -> npt.NDArray[np.float64]:
        """Calibrated probabilities (N, K) in the order of `classes`; NaN in the row of an image without an answer."""
        return self.predict(images).scores()

    def graph(self) -> Answering:
        """Everything after decoding as one module, in evaluation mode."""
        return Answering(self.model, self.familiarity, self.temperature, TASKS[self.task], self.prior_shift).eval()

    def raw(self, logits: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """What the model said (N, K) of images whose calibrated logits (N, K) are given."""
        return (logits - np.array(self.prior_shift or 0.0, dtype=logits.dtype)) * self.temperature

    def score(self, images: Images, plan: Plan | None = None) -> tuple[Float32, Float32, Float32]:
        """Calibrated logits (N, K), probabilities (N, K) and OOD scores (N,) of decoded images (N, S, S, 3).

        The features are made by the plan (None: in float32), the rest is in float32.
        """
        return self.score_features(embed(self.model, images, plan))

    @torch.no_grad()
    def score_features(self, features: Float32) -> tuple[Float32, Float32, Float32]:
        """The same of features (N, D) that `embed` made by this classifier's model."""
        graph, step = self.graph(), 4096
        parts = [torch.from_numpy(features[start : start + step]) for start in range(0, len(features), step)]
        outputs = [graph.from_features(part.to(self.model.device)) for part in parts]
        logits, probabilities, scores = (torch.cat(columns).cpu().numpy() for columns in zip(*outputs, strict=True))
        return logits, probabilities, scores

    def answer(
        self,
        logits: Float32,
        probabilities: Float32,
        scores: Float32,
        columns: dict[str, Sequence[Any]],
        failed: Sequence[str | None],
    ) -> Predictions:
        """Turn scores into answers by the task's rule and the policy; `failed` says why an image was not read."""
        outputs = Outputs(logits, probabilities, scores if self.familiarity is not None else None)
        decided, why = decisions.answer(self.task, self.classes, outputs, self.policy)
        unread = np.array([reason is not None for reason in failed])
        empty = unread | ~outputs.defined
        table: dict[str, Any] = {
            **columns,
            "logits": np.where(empty[:, None], np.nan, logits),
            "probabilities": np.where(empty[:, None], np.nan, probabilities),
            "label": _unless(unread, decided.labels, None),
            "confidence": np.where(unread, np.nan, decided.confidence),
            "prediction_set": _unless(unread, decided.sets, None),
            "ood_score": np.where(empty | (self.familiarity is None), np.nan, scores),
            "reason": _unless(unread, why, "unreadable"),
            "detail": [reason or _of_no_number(name) for reason, name in zip(failed, why, strict=True)],
        }
        return Predictions.from_columns(table, self.classes, self.task, dict(self.policy.parents))

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree over the classes, as the policy has it; without groups all of them lie below its root."""
        return Taxonomy(self.classes, self.policy.parents)

    def with_(self, **changes: Any) -> "Classifier":
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def save(self, folder: str | Path) -> Path:
        """Write the bundle, `classifier.json` and `weights.safetensors`, into `folder`."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        if self.familiarity is not None:
            tensors |= {f"familiarity/{name}": value for name, value in self.familiarity.state_dict().items()}
        return write_bundle(Path(folder), self.describe(), tensors)

    def describe(self) -> dict[str, Any]:
        """What `classifier.json` holds, apart from the hashes."""
        return {
            "classes": list(self.classes),
            "task": self.task,
            "model": {"kind": self.model.kind, "arguments": self.model.arguments},
            "recipe": self.recipe.to_json(),
            "calibration": {
                "method": "temperature",
                "temperature": self.temperature,
                "prior": list(self.prior),
                "prior_shift": list(self.prior_shift) or [0.0] * len(self.prior),
            },
            "familiarity": self.familiarity.describe() if self.familiarity is not None else None,
            "policy": asdict(self.policy),
            "provenance": self.provenance,
        }


def _inputs(
    images: "str | Path | Dataset | Sequence[str | Located]", *, several: bool
) -> tuple[list[Located], dict[str, Sequence[Any]]]:
    if isinstance(images, Dataset):
        columns = known_columns(images)
        return images.paths, columns if images.multilabel == several else _without_truth(columns)
    given = [images] if isinstance(images, str | Path) else images
    paths = [Path(image) if isinstance(image, str) else image for image in given]
    return paths, {"id": [str(path) for path in paths], "truth": [None] * len(paths)}


def known_columns(dataset: Dataset) -> dict[str, Sequence[Any]]:
    """The columns of predictions that the dataset knows: id, truth, of several labels those unknown, and group."""
    columns: dict[str, Sequence[Any]] = {"id": dataset.ids, "truth": dataset.labels}
    if dataset.multilabel:
        columns["unknown"] = dataset.unknown
    if dataset.has("group"):
        columns["group"] = dataset.column("group")
    return columns


def _without_truth(columns: dict[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    kept = {name: values for name, values in columns.items() if name != "unknown"}
    return kept | {"truth": [None] * len(columns["id"])}


def _unless(unread: npt.NDArray[np.bool_], values: Sequence[Any], instead: Any) -> list[Any]:
    return [instead if gone else value for gone, value in zip(unread, values, strict=True)]


def _of_no_number(reason: str) -> str | None:
    return "the model's output for it is not a number" if reason == UNDEFINED else None


def load(folder: str | Path) -> Classifier:
    """Load a classifier from its bundle, or from the run folder around it.

    Raises BundleError when a file is missing or differs from what was saved, when what it says is not a classifier's,
    and when its parts do not fit each other. Nothing in a bundle is executed.
    """
    bundle = read_bundle(Path(folder))
    content = _completed(bundle.description)
    require_schema(content, bundle.file)
    try:
        classifier = _built(content, bundle.tensors)
        _try(classifier)
    except LinnaeaError as error:
        raise BundleError(f"{bundle.file}: {error} Take the original bundle.") from error
    return classifier


def _completed(content: dict[str, Any]) -> dict[str, Any]:
    """The description with what those of earlier versions do not say: shares of classes, bounds of images."""
    calibration, recipe = content.get("calibration"), content.get("recipe")
    if isinstance(calibration, dict) and not calibration.keys() & {"prior", "prior_shift"}:
        content = content | {"calibration": calibration | {"prior": [], "prior_shift": []}}
    if isinstance(recipe, dict) and not recipe.keys() & EARLIER_BOUNDS.keys():
        content = content | {"recipe": recipe | EARLIER_BOUNDS}
    return content


def _built(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Classifier:
    """The classifier of a description that is of the schema; raises LinnaeaError where the parts do not fit."""
    model = build(content["model"]["kind"], content["model"]["arguments"])
    require_all(model.arguments, content["model"]["arguments"])
    familiarity = build_familiarity(content["familiarity"]) if content["familiarity"] is not None else None
    modules: dict[str, nn.Module] = {"model": model} | ({"familiarity": familiarity} if familiarity is not None else {})
    for name, module in modules.items():
        fill(module, name, tensors)
    strange = [name for name in tensors if name.partition("/")[0] not in modules]
    if strange:
        raise BundleError(f"the weights hold {strange[0]}, which the description does not mention.")
    shift = content["calibration"]["prior_shift"]
    return Classifier(
        model=model.eval(),
        classes=tuple(content["classes"]),
        task=content["task"],
        recipe=Recipe(**content["recipe"]),
        temperature=content["calibration"]["temperature"],
        prior=tuple(content["calibration"]["prior"]),
        prior_shift=tuple(shift) if any(shift) else (),
        familiarity=familiarity.eval() if familiarity is not None else None,
        policy=Policy.from_json(content["policy"]),
        provenance=content["provenance"],
    )


def _try(classifier: Classifier) -> None:
    """Raise BundleError unless the parts fit each other: of a grey image the answer is made of the right numbers."""
    side, count = classifier.recipe.size, len(classifier.classes)
    grey = np.full((1, side, side, 3), 128, dtype=np.uint8)
    try:
        logits, probabilities, scores = classifier.score(grey)
    except (RuntimeError, IndexError, ValueError) as error:
        raise BundleError(f"model and familiarity do not match ({error}).") from None
    if logits.shape != (1, count) or scores.shape != (1,):
        raise BundleError(f"the model gives logits of shape {logits.shape[1:]} for {count} classes.")
    if not Outputs(logits, probabilities, scores).defined.all():
        raise BundleError("the classifier's output for a grey image is not a number.")
