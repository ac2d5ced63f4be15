"""What a model is worth on the val images while it is being compressed, and the points that it went through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from linnaea.arrays import Float32
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.decisions import Outputs, Policy
from linnaea.delivery.compression import UnmetError, Wanted
from linnaea.evidence import figure_of
from linnaea.evidence.comparison.differences import value_of
from linnaea.evidence.metrics import metrics_for, scores_of
from linnaea.experiments.attempt import Material
from linnaea.experiments.compression.speed import Speed, milliseconds_of
from linnaea.finding import Estimate
from linnaea.models import Model
from linnaea.task import TASKS


class MissedError(UnmetError):
    """Too much was lost, or the target was not met."""


@dataclass(frozen=True, eq=False)
class Worth:
    """The task's metric on the val images of `material`, of what `classifier` would answer with another model."""

    classifier: Classifier
    material: Material

    def of_logits(self, logits: Float32, rows: Sequence[int] | None = None) -> float:
        """Of raw scores (N, K) for all val images, or those at the positions `rows`."""
        task = TASKS[self.classifier.task]
        probabilities = task.activation(torch.from_numpy(logits)).numpy()
        return self._of(Outputs(logits, logits, probabilities), rows)

    def __call__(self, model: Model) -> float:
        """Of a model."""
        plain = self.plain(model)
        return self._of(plain.score(self.material.val.images))

    def figure(self, model: Model) -> Estimate:
        """Of a model, with its interval."""
        images, columns = self.material.val.images, dict(self.material.columns)
        plain = self.plain(model)
        return figure_of(plain.answer(plain.score(images), columns, [None] * len(images)))

    def milliseconds(self, model: Model) -> float:
        """What an image takes, decoded, here and now."""
        return milliseconds_of(self.plain(model), self.material.val.images)

    def plain(self, model: Model) -> Classifier:
        """A classifier of the model alone, without what is fitted to its answers."""
        return self.classifier.with_(
            scorer=scorer_of(model),
            calibrator=None,
            familiarity=None,
            prior_shift=(),
            policy=Policy(parents=self.classifier.policy.parents),
        )

    def _of(self, outputs: Outputs, rows: Sequence[int] | None = None) -> float:
        plain = self.classifier.with_(policy=Policy(parents=self.classifier.policy.parents))
        columns = dict(self.material.columns)
        if rows is not None:
            columns = {name: [values[row] for row in rows] for name, values in columns.items()}
        answers = plain.answer(outputs, columns, [None] * len(outputs.raw))
        value = value_of(metrics_for(answers.task)[answers.rules.metric], scores_of(answers))
        return float("nan") if value is None else value


@dataclass(frozen=True)
class Point:
    """What was reached after a method, or before any: the metric on val, 0 to 1, size in 10^6 bytes, and speed.

    `limits` are those of the metric, `joules` what an image takes, None where that is not known.
    """

    name: str
    value: float
    megabytes: float
    speed: Speed
    limits: tuple[float | None, float | None] = (None, None)
    joules: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "name": self.name,
            "value": self.value,
            "lo": self.limits[0],
            "hi": self.limits[1],
            "joules": self.joules,
            "megabytes": self.megabytes,
            **self.speed.to_json(),
        }

    def told(self, metric: str) -> str:
        """In words."""
        return (
            f"{self.name}: {metric} {self.value:.4f} on val, {self.megabytes:.2f} MB, {self.speed.milliseconds:.2f} ms "
            "for an image"
        )


def require_met(points: Sequence[Point], wanted: Wanted, metric: str) -> None:
    """Raise MissedError, with the nearest point, unless the last of these lost little enough and meets the target."""
    first, *others = points
    last, target = points[-1], wanted.target
    lost = first.value - last.value
    missed = []
    if not lost <= wanted.drop + 1e-9:
        missed.append(f"{100 * lost:.2f} points of {metric} are lost on val, and {100 * wanted.drop:g} may be")
    if target is not None and target.seconds is not None and last.speed.milliseconds > 1000 * target.seconds:
        missed.append(f"an image takes {last.speed.milliseconds:.2f} ms, and the target is {target.text}")
    if target is not None and target.megabytes is not None and last.megabytes > target.megabytes:
        missed.append(f"the weights take {last.megabytes:.2f} MB, and the target is {target.text}")
    if missed:
        kept = [point for point in others if first.value - point.value <= wanted.drop + 1e-9] or [last]
        fast = target is not None and target.seconds is not None
        nearest = min(kept, key=lambda point: point.speed.milliseconds if fast else point.megabytes)
        raise MissedError(
            f"{'; '.join(missed)}. The nearest point was {nearest.told(metric)}; before, {first.told(metric)}. Nothing "
            "was kept: allow more with --max-drop, ask for less with --target, or give other methods."
        )
