"""A classifier is what a run leaves behind: a scorer with its preprocessing, class names, calibration and policy."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linnaea import decisions
from linnaea.arrays import Flags, Float32, Float64, Floats, Images
from linnaea.classifier.bundle import write_bundle
from linnaea.classifier.content import content_of
from linnaea.classifier.made_here import remember
from linnaea.classifier.scorers.contract import Scorer
from linnaea.data.images.pixels import Recipe, decode_in_batches
from linnaea.dataset import Dataset
from linnaea.decisions import UNDEFINED, Outputs, Policy
from linnaea.errors import DataError, UsageError
from linnaea.predictions import OWN, UNCERTAINTY, Predictions
from linnaea.runtime.arguments import DAMAGED, require_one_of
from linnaea.runtime.containers import Located
from linnaea.task import TASKS
from linnaea.taxonomy import Taxonomy

if TYPE_CHECKING:  # torch, which a classifier in an exported file does without
    from torch import Tensor

    from linnaea.classifier.calibrators import Calibrator
    from linnaea.classifier.graph import Answering, Judging
    from linnaea.models import Model
    from linnaea.models.familiarity import Familiarity
    from linnaea.runtime.plan import Plan

logger = logging.getLogger("linnaea")
FLOAT32 = "float32"
AT_ONCE = 4096  # images whose features are judged together


@dataclass(frozen=True)
class Classifier:
    """Maps image files to answers; immutable, so that makers return a new one.

    `scorer` maps pixels to raw scores, `recipe` files to pixels, `calibrator` raw scores to calibrated logits (None:
    the scorer is whole, or nothing was calibrated); `familiarity` and `policy` decide when not to answer; `provenance`
    says where all of it came from. `prior` (K,) are the mean probabilities over the images it was calibrated on;
    `prior_shift` (K,) is added to calibrated logits for other shares of the classes (empty: nothing is).
    """

    scorer: Scorer
    classes: tuple[str, ...]
    task: str
    recipe: Recipe
    calibrator: "Calibrator | None" = None
    prior: tuple[float, ...] = ()
    prior_shift: tuple[float, ...] = ()
    familiarity: "Familiarity | None" = None
    policy: Policy = field(default_factory=Policy)
    provenance: dict[str, Any] = field(default_factory=dict)

    def predict(
        self,
        images: "str | Path | Dataset | Sequence[str | Located]",
        *,
        precision: "str | Plan" = FLOAT32,
        damaged: str = "refuse",
    ) -> Predictions:
        """Answer for a file, several files, or a dataset, whose labels become the truth.

        `precision` is a number format, or "auto" for the fastest of those whose features agree with float32, measured
        on the first images where there are many, or a plan that was measured before, see `measured`. Where one label
        per image stands against several, they cannot be compared, and there is no truth. Returns a row per image. One
        that cannot be read has the reason `unreadable`, one of which the model says what is not a number `undefined`,
        and nothing else is answered. A `damaged` image, of which part is missing, is unreadable too ("refuse"), or what
        is left of it is answered, with the reason `damaged` ("answer"). Raises DataError when there is nothing to
        predict, UsageError for an unknown precision.
        """
        if isinstance(precision, str):
            self.require_precision(precision)
        require_one_of(DAMAGED, "damaged", damaged)
        paths, columns = _inputs(images, several=TASKS[self.task].multilabel)
        if not paths:
            raise DataError("there are no images to predict: give at least one.")
        failed: list[str | None] = []
        harmed: dict[int, str] = {}
        parts, plan = [], None if isinstance(precision, str) else precision
        for decoded in decode_in_batches(paths, self.recipe, salvage=damaged == "answer"):
            harmed |= {len(failed) + row: reason for row, reason in decoded.damaged.items()}
            failed += [decoded.failed.get(row) for row in range(len(decoded.sha256))]
            if plan is None and precision != FLOAT32 and len(decoded.failed) < len(decoded.sha256):
                plan = self._measured(decoded.kept().images, str(precision), len(paths))
            parts.append(self.score(decoded.images, plan))
        return self.answer(Outputs.joined(parts), columns, failed).with_reason("damaged", harmed)

    def require_precision(self, precision: str) -> None:
        """Raise UsageError for a number format that it cannot compute in."""
        if precision == FLOAT32:
            return
        if not self.scorer.gradients:
            what, how = ("file", "it was exported") if self.scorer.whole else ("classifier", "its libraries do")
            raise UsageError(
                f"precision is {precision!r}, but a {what} of the kind {self.scorer.kind} computes as {how}: leave it "
                "out."
            )
        from linnaea.runtime.plan import pick_precision

        pick_precision(precision, self.scorer.device.partition(":")[0])

    def measured(self, paths: "Sequence[Located]", precision: str) -> "Plan | None":
        """The plan that `predict` would measure on the first of these images that can be read; None in float32."""
        self.require_precision(precision)
        if precision == FLOAT32:
            return None
        for decoded in decode_in_batches(paths, self.recipe):
            if len(decoded.failed) < len(decoded.sha256):
                return self._measured(decoded.kept().images, precision, len(paths))
        return None

    def _measured(self, images: Images, precision: str, count: int) -> "Plan":
        from linnaea.models.embedding import measure_embedding

        plan = measure_embedding(self.model, images, precision, count=count)
        logger.info(f"Features are computed in {plan.precision}.")
        return plan

    def allowing(self, max_pixels: int | None) -> "Classifier":
        """The same for images of up to so many pixels; None: of as many as before."""
        return self if max_pixels is None else self.with_(recipe=replace(self.recipe, max_pixels=max_pixels))

    def predict_proba(self, images: "str | Path | Dataset | Sequence[str | Located]") -> Float64:
        """Calibrated probabilities (N, K) in the order of `classes`; NaN in the row of an image without an answer."""
        return self.predict(images).scores()

    def to(self, device: str) -> "Classifier":
        """The same on a device, such as "cuda"; raises UsageError where its scorer cannot go there."""
        return self if device == self.scorer.device else self.with_(scorer=self.scorer.to(device))

    @property
    def model(self) -> "Model":
        """The model of the scorer, which torch can differentiate where `scorer.gradients` says so.

        Raises UsageError where there is none.
        """
        model: Model | None = getattr(self.scorer, "model", None)
        if model is None:
            raise UsageError(
                f"this classifier is a file of the kind {self.scorer.kind} and holds no network that could be taken "
                "apart: use the run that it was exported from."
            )
        return model

    @property
    def ood_score(self) -> str | None:
        """The name of the score by which images are unfamiliar; None where there is none."""
        if self.familiarity is not None:
            return self.familiarity.kind
        return self.scorer.arguments.get("ood_score") if self.scorer.whole else None

    @cached_property
    def _judging(self) -> "Judging":
        import torch

        from linnaea.classifier.calibrators.temperature import Temperature
        from linnaea.classifier.graph import Judging

        parts = (self.calibrator or Temperature(), self.familiarity)
        return Judging(TASKS[self.task], *parts, self.prior_shift).eval().to(torch.device(self.scorer.device))

    def graph(self) -> "Answering":
        """Everything after decoding as one module, in evaluation mode; raises UsageError where there is no model."""
        from linnaea.classifier.graph import Answering

        return Answering(self.model.plain(), self._judging).eval()

    def score(self, images: Images, plan: "Plan | None" = None) -> Outputs:
        """What it says of decoded images (N, S, S, 3); features are made by the plan (None: in float32).

        It may be called from several threads at once.
        """
        if self.scorer.whole:
            return self.scorer.outputs(images)
        return self._outputs(self.scorer.batches(images, plan))

    def score_features(self, features: Float32) -> Outputs:
        """The same of features (N, D) that `embed` made by this classifier's model."""
        import torch

        model = self.model
        parts = (
            torch.from_numpy(features[start : start + AT_ONCE]).to(model.device)
            for start in range(0, len(features), AT_ONCE)
        )
        return self._outputs((part, model.head(part)) for part in parts)

    def _outputs(self, scored: "Iterable[tuple[Tensor | None, Tensor]]") -> Outputs:
        """Judged where the scores were made, and brought together at the end, once."""
        import torch

        with torch.inference_mode():
            told = ((features, raw, self._uncertainty(features)) for features, raw in scored)
            judged = [(*self._judging(features, raw, *found), *found) for features, raw, found in told]
            raw, logits, probabilities, scores, *parts = (
                torch.cat(part).cpu().numpy() for part in zip(*judged, strict=True)
            )
        strange = scores if self.familiarity is not None else None
        return Outputs(raw, logits, probabilities, strange, parts[0] if parts else None)

    def _uncertainty(self, features: "Tensor | None") -> "Sequence[Tensor]":
        """Its parts (B, 3), of a scorer whose model answers by several members; nothing of another."""
        model: Model | None = getattr(self.scorer, "model", None)
        parts = None if model is None or features is None else model.uncertainty(features)
        return () if parts is None else (parts,)

    def answer(self, outputs: Outputs, columns: dict[str, Sequence[Any]], failed: Sequence[str | None]) -> Predictions:
        """Turn scores into answers by the task's rule and the policy; `failed` says why an image was not read."""
        decided, why = decisions.answer(self.task, self.classes, outputs, self.policy, self._groups_in(columns))
        unread = np.array([reason is not None for reason in failed], dtype=bool)
        empty = unread | ~outputs.defined
        nothing, scores = empty[:, None], outputs.ood_scores
        table: dict[str, Any] = {
            **columns,
            "raw_scores": np.where(nothing, np.nan, outputs.raw),
            "logits": np.where(nothing, np.nan, outputs.logits),
            "probabilities": np.where(nothing, np.nan, outputs.probabilities),
            "label": _unless(unread, decided.labels, None),
            "confidence": np.where(unread, np.nan, decided.confidence),
            "prediction_set": _unless(unread, decided.sets, None),
            "ood_score": np.full(len(unread), np.nan) if scores is None else np.where(empty, np.nan, scores),
            **_parts(outputs.uncertainty, empty),
            "reason": _unless(unread, why, "unreadable"),
            "detail": [reason or _of_no_number(name) for reason, name in zip(failed, why, strict=True)],
        }
        return Predictions.from_columns(table, self.classes, self.task, dict(self.policy.parents))

    def _groups_in(self, columns: dict[str, Sequence[Any]]) -> Sequence[Any] | None:
        """The group of each image where thresholds depend on it; where none is known, that is said."""
        by = self.policy.group_by
        if not by:
            return None
        if by not in columns:
            logger.warning(
                f"The classifier has a threshold for each group of {by!r}, and the images come without that column: "
                "the common threshold decides, for which nothing was made equal between groups."
            )
        return columns.get(by)

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree over the classes, as the policy has it; without groups all of them lie below its root."""
        return Taxonomy(self.classes, self.policy.parents)

    def with_(self, **changes: Any) -> "Classifier":
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def save(self, folder: str | Path) -> Path:
        """Write the bundle, `classifier.json` with the files it names, into `folder`."""
        parts = {"scorer": self.scorer.tensors()}
        for name, part in {"calibrator": self.calibrator, "familiarity": self.familiarity}.items():
            parts[name] = {} if part is None else part.state_dict()
        tensors = {f"{name}/{key}": value for name, part in parts.items() for key, value in part.items()}
        written = write_bundle(Path(folder), self.describe(), tensors, self.scorer.files())
        if self.scorer.files():
            remember(content_of(written))
        return written

    def describe(self) -> dict[str, Any]:
        """What `classifier.json` holds, apart from the hashes."""
        return {
            "classes": list(self.classes),
            "task": self.task,
            "scorer": {"kind": self.scorer.kind, "arguments": self.scorer.arguments},
            "recipe": self.recipe.to_json(),
            "calibrator": self.calibrator.describe() if self.calibrator is not None else None,
            "class_shares": {
                "prior": list(self.prior),
                "shift": list(self.prior_shift) or [0.0] * len(self.prior),
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
    """The columns of predictions that the dataset knows: id, truth, of several labels those unknown, group, metadata.

    Metadata of the name of a column that predictions have of their own stays behind.
    """
    columns: dict[str, Sequence[Any]] = {"id": dataset.ids, "truth": dataset.labels}
    if dataset.multilabel:
        columns["unknown"] = dataset.unknown
    if dataset.has("group"):
        columns["group"] = dataset.column("group")
    return columns | {name: dataset.column(name) for name in dataset.metadata if name not in OWN}


def _without_truth(columns: dict[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    kept = {name: values for name, values in columns.items() if name != "unknown"}
    return kept | {"truth": [None] * len(columns["id"])}


def _parts(uncertainty: Floats | None, empty: Flags) -> dict[str, Floats]:
    """The columns of the parts of uncertainty; none where there are no parts."""
    if uncertainty is None:
        return {}
    return {name: np.where(empty, np.nan, values) for name, values in zip(UNCERTAINTY, uncertainty.T, strict=True)}


def _unless(unread: Flags, values: Sequence[Any], instead: Any) -> list[Any]:
    return [instead if gone else value for gone, value in zip(unread, values, strict=True)]


def _of_no_number(reason: str) -> str | None:
    return "the model's output for it is not a number" if reason == UNDEFINED else None
