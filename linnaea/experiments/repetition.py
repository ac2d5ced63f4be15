"""What a training does again, over folds and seeds, in equal shares of the time that is left."""

import math
import time
from dataclasses import dataclass

from linnaea.data.images.pixels import Recipe
from linnaea.evidence.calibration import Aims
from linnaea.experiments.attempt import Attempted, Material
from linnaea.experiments.cross_validation import Fold, Folds, cross_validate
from linnaea.experiments.ladder import Choice, attempts, choose
from linnaea.experiments.preparation import Prepared
from linnaea.experiments.run_life import timed
from linnaea.experiments.seeds import repeat, with_seed
from linnaea.learning.rungs import Job, Options, Step, with_pictures
from linnaea.options import Repetition
from linnaea.run import Run


@dataclass
class Turns:
    """Equal shares of the time until a deadline of `time.monotonic`, for so many turns."""

    until: float
    left: int

    @classmethod
    def of(cls, repetition: Repetition, until: float) -> "Turns":
        """One for the ladder, one for each fold, one for each further seed."""
        return cls(until, 1 + (repetition.folds or 0) + (repetition.seeds or 1) - 1)

    def next(self) -> float:
        """The deadline of the next turn."""
        share = (self.until - time.monotonic()) / max(1, self.left)
        self.left -= 1
        return math.inf if self.until == math.inf else time.monotonic() + share


@dataclass(frozen=True)
class Repeated:
    """A training that is done again: its steps, how they train, and what the images are decoded by."""

    steps: list[Step]
    options: Options
    aims: Aims
    recipe: Recipe
    repetition: Repetition
    turns: Turns

    def over_folds(self, folds: Folds, run: Run, seed: int) -> None:
        """Judge the whole way, the choice among the steps included, by folds."""
        with timed(run, "folds"):
            cross_validate(folds, self.recipe, seed, run, self.aims, lambda fold: self._chosen_in(fold, run))

    def _chosen_in(self, fold: Fold, run: Run) -> tuple[str, Attempted]:
        job = self.job(fold.material)
        place = run.folder / "checkpoints" / f"fold-{fold.number}"
        choice = choose([done for _, done in attempts(self.steps, job, fold.material, place)])
        return choice.result.name, choice.result

    def over_seeds(self, choice: Choice, material: Material, run: Run) -> None:
        """Train the step that was chosen with further seeds."""
        first = self.options.seed
        step = next(step for step in self.steps if step.name == choice.result.name)
        seeds = range(first, first + (self.repetition.seeds or 1))
        with timed(run, "seeds"):
            repeat(step, choice.result, material, run, seeds, lambda seed: self.job(material, seed))

    def job(self, material: Material, seed: int | None = None) -> Job:
        """How its steps train on this, in the next turn; with the images that a balancer makes."""
        job = material.job(self.options, self.turns.next())
        own = job if seed is None else with_seed(job, seed)
        return with_pictures(own) if self.options.balance is not None else own


def folds_of(prepared: Prepared, repetition: Repetition, run: Run, seed: int) -> Folds | None:
    """The folds that are asked for, written down; refused here where a class would be missing from one."""
    if repetition.folds is None:
        return None
    known = {row["path"]: int(row["fold"]) for row in run.read_rows("folds.csv")}
    folds = Folds.of(prepared, repetition.folds, seed, known)
    ids = folds.prepared.dataset.ids
    run.write_rows(
        "folds.csv", [{"path": name, "fold": int(fold)} for name, fold in zip(ids, folds.assigned, strict=True)]
    )
    return folds
