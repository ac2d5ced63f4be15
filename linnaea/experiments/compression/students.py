"""A student trained from the beginning with the run as its teacher, as `train --teacher` does it."""

from dataclasses import dataclass, replace
from pathlib import Path

from linnaea.experiments.attempt import Material, attempt
from linnaea.experiments.compression.training import taught_by
from linnaea.learning.job import Options
from linnaea.learning.rungs import steps_for
from linnaea.models import Model
from linnaea.models.weights import read_weights

OBJECTIVES = {"logits": "distillation", "features": "feature_distillation"}


@dataclass(frozen=True, eq=False)
class Teaching:
    """Trains students on the images of the run; see `linnaea.delivery.compression.contract.Teach`."""

    material: Material
    options: Options
    teacher: Path

    def __call__(self, student: str, match: str) -> tuple[Model, list[str]]:
        """The student, from pretrained weights where there are some, and notes on how that went."""
        file = Path(student)
        (step, *_), notes = steps_for(read_weights(file).network, file) if file.exists() else steps_for(student)
        options = replace(self.options, recipe=taught_by(self.options.recipe, self.teacher, OBJECTIVES[match]))
        done = attempt(step, self.material, self.material.job(options, float("inf")))
        return done.finished.model, [*notes, done.note]
