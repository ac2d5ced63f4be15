"""Finished runs of the same classes as one classifier, calibrated and judged on images that none of them trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier, load
from linnaea.classifier.bundle import WEIGHTS
from linnaea.classifier.calibrators.temperature import Temperature
from linnaea.data.images.pixels import Recipe
from linnaea.dataset import Dataset
from linnaea.delivery.report import write_report
from linnaea.errors import UsageError
from linnaea.evidence.calibration import Aims
from linnaea.experiments.preparation import prepare
from linnaea.experiments.recipe_file import FILE as RECIPE_FILE
from linnaea.experiments.recipe_file import recipe_of
from linnaea.experiments.run_life import begun, free_folder, freeze, timed
from linnaea.experiments.seen_by_members import left_of
from linnaea.experiments.training import Training
from linnaea.experiments.training_run import attempted_and_concluded, finish
from linnaea.learning.job import Fitted, Options
from linnaea.learning.rungs import Rung, Step
from linnaea.models.ensembles.ensemble import Ensemble
from linnaea.options import Preparation
from linnaea.options.checks import require_different_runs
from linnaea.run import Run
from linnaea.runtime.files import sha256_of
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS

NAME = "ensemble"
AIMS = tuple(field.name for field in fields(Aims))
ALIKE = ("fit", "white", "channels")  # of how images are decoded, what members must agree in


@dataclass(frozen=True)
class Together:
    """Runs that become one: their classifiers, what images are decoded by, and the images with what is left of them."""

    runs: Sequence[Run]
    classifiers: Sequence[Classifier]
    recipe: Recipe
    dataset: Dataset
    kept: Mapping[str, Any]

    @classmethod
    def of(cls, given: Sequence[str | Path]) -> "Together":
        """Of the folders of finished runs; raises RunError, BundleError, UsageError or DataError where it cannot be."""
        require_different_runs(given)
        runs = [Run.open(folder) for folder in given]
        for run in runs:
            run.require_finished()
        classifiers = [load(run.model_folder) for run in runs]
        for run, classifier in zip(runs[1:], classifiers[1:], strict=True):
            _require_alike(runs[0], classifiers[0], run, classifier)
        _require_no_copy(runs)
        recipe = max((one.recipe for one in classifiers), key=lambda one: one.size)
        arguments = runs[0].record()["arguments"]
        kept = {name: arguments.get(name) for name in (*AIMS, "ood", "duplicates")}
        left = left_of(runs, recipe, kept["duplicates"] or "near")
        return cls(runs, classifiers, recipe, left, kept)

    def fitted(self) -> Fitted:
        """The ensemble, which there is nothing left to learn for."""
        first = self.classifiers[0]
        parts = [one.calibrator for one in self.classifiers]
        model = Ensemble.of(
            [one.model for one in self.classifiers],
            len(first.classes),
            self.recipe.size,
            several=TASKS[first.task].multilabel,
            channels=self.recipe.channels,
            temperatures=[part.temperature if isinstance(part, Temperature) else 1.0 for part in parts],
        )
        names = ", ".join(run.folder.name for run in self.runs)
        notes = [f"The probabilities are the mean over {len(self.runs)} runs: {names}."]
        other = [
            run.folder.name
            for run, part in zip(self.runs, parts, strict=True)
            if part is not None and not isinstance(part, Temperature)
        ]
        if other:
            notes.append(f"Only temperatures of members are used: the calibration of {', '.join(other)} is left out.")
        if first.policy.group_thresholds:
            notes.append(
                f"The thresholds for groups by {first.policy.group_by} of {self.runs[0].folder.name} are left out: "
                "they were fitted to its own probabilities."
            )
        return Fitted(model, notes=notes, plan=Plan("cpu").to_json())

    def training(self, started: float) -> Training:
        """The one step, with what the first run promised."""
        return Training(
            self.dataset,
            None,
            [Step(NAME, Rung(lambda job: self.fitted(), pretrained=None))],
            [],
            self.recipe,
            Options(seed=self.runs[0].record()["seed"]),
            Aims(**{name: self.kept[name] for name in AIMS if self.kept[name] is not None}),
            Preparation(duplicates=self.kept["duplicates"] or "near"),
            self.kept["ood"] or "auto",
            started,
            None,
        )


def combined(given: Sequence[str | Path], out: str | Path | None, started: float) -> Classifier:
    """Combine, calibrate, judge and report, in a new run in the folder `out` (None: one beside the first run)."""
    together = Together.of(given)
    first = together.runs[0].folder.resolve()
    folder = free_folder(first.with_name(f"{first.name}-{NAME}")) if out is None else Path(out)
    members = [str(run.folder.resolve()) for run in together.runs]
    training = together.training(started)
    arguments = {"members": members, "seed": training.options.seed, **together.kept}
    recipe = recipe_of(NAME, {"runs": members}, {})
    with begun(folder, freeze(together.dataset, arguments), resume=False, recipes={RECIPE_FILE: recipe}) as new:
        new.update(seed=training.options.seed)
        with timed(new, "decode, audit, split"):
            prepared = prepare(
                together.dataset,
                together.recipe,
                seed=training.options.seed,
                duplicates=together.kept["duplicates"] or "near",
                keep_splits=together.dataset,
            )
        new.write_findings("audit", prepared.findings)
        new.write_dataset(prepared.dataset)
        made = attempted_and_concluded(training, prepared, new)
        names = [run.folder.name for run in together.runs]
        new.update(chosen_because=f"The answers are the means over {len(names)} runs: {', '.join(names)}.")
        finish(new, started)
    for run in together.runs if new.judged_on == "test" else ():
        with run.locked():
            run.count_test(f"ensemble {new.folder.name}")
    write_report(new.folder)
    return made


def _require_no_copy(runs: Sequence[Run]) -> None:
    """Raise UsageError where two runs hold the same weights, to the last bit."""
    known: dict[str, Path] = {}
    for run in runs:
        digest = sha256_of(run.model_folder / WEIGHTS)
        if digest in known:
            raise UsageError(
                f"{known[digest]} and {run.folder} hold the same weights, to the last bit, and would count twice: name "
                "runs that were trained apart, for instance with another --seed."
            )
        known[digest] = run.folder


def _require_alike(first: Run, one: Classifier, second: Run, other: Classifier) -> None:
    """Raise UsageError, with the difference, where two classifiers cannot answer together."""
    names = f"{first.folder} and {second.folder} cannot answer together"
    if one.task != other.task:
        raise UsageError(f"{names}: one is {one.task}, the other {other.task}.")
    if one.classes != other.classes:
        raise UsageError(f"{names}: {_difference(one.classes, other.classes)}.")
    if one.policy.parents != other.policy.parents:
        raise UsageError(f"{names}: their classes lie below other groups.")
    for name in ALIKE:
        values = [getattr(classifier.recipe, name) for classifier in (one, other)]
        if values[0] != values[1]:
            raise UsageError(
                f"{names}: images are decoded with {name} {values[0]} for one and {values[1]} for the other."
            )


def _difference(one: Sequence[str], other: Sequence[str]) -> str:
    alone = [sorted(set(one) - set(other)), sorted(set(other) - set(one))]
    if not any(alone):
        return f"their classes stand in another order, {', '.join(one)} and {', '.join(other)}"
    told = [
        f"only the {place} knows {', '.join(own)}" for place, own in zip(("first", "second"), alone, strict=True) if own
    ]
    return " and ".join(told)
