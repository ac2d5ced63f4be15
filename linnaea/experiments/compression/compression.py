"""The classifier of a run made smaller or faster, then calibrated, judged and reported as a run of its own."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.delivery.compression import COMPRESSORS, Compressed, UnmetError, Workshop
from linnaea.delivery.report import write_report
from linnaea.errors import DataError, UsageError
from linnaea.evidence.calibration import Aims
from linnaea.experiments.attempt import Material
from linnaea.experiments.compression.figures import NAME as FINDING
from linnaea.experiments.compression.figures import before_and_after, points_finding
from linnaea.experiments.compression.source import AIMS, COMPRESSED, Source
from linnaea.experiments.compression.speed import TOGETHER, joules_per_image, speeds
from linnaea.experiments.compression.students import Teaching
from linnaea.experiments.compression.training import Tuning, options_of
from linnaea.experiments.compression.worth import Point, Worth, require_met
from linnaea.experiments.preparation import Prepared, prepare
from linnaea.experiments.recipe_file import FILE as RECIPE_FILE
from linnaea.experiments.recipe_file import recipe_of
from linnaea.experiments.run_life import begun, free_folder, freeze, timed
from linnaea.experiments.training import Training
from linnaea.experiments.training_run import attempted_and_concluded, finish
from linnaea.finding import Estimate, Finding
from linnaea.learning.job import Fitted, Options
from linnaea.learning.rungs import Rung, Step
from linnaea.options import Compressing, Preparation
from linnaea.run import Run
from linnaea.runtime.plan import Plan, pick_device
from linnaea.runtime.progress import working
from linnaea.runtime.words import counted
from linnaea.task import TASKS

NAME = "compressed"
logger = logging.getLogger("linnaea")


def compressed(
    source: Source, asked: Compressing, out: str | Path | None, started: float, *, device: str = "auto"
) -> Classifier:
    """Compress, calibrate, judge and report, in a new run in the folder `out` (None: one beside the run).

    Raises MissedError where more was lost on val than may be or the target was not met, and UsageError where a method
    has nothing to take away, DataError where images are not what they were; no folder is left unless the test split was
    opened.
    """
    own = source.run.folder.resolve()
    folder = free_folder(own.with_name(f"{own.name}-{NAME}")) if out is None else Path(out)
    arguments = {COMPRESSED: str(own), **asked.named(), "seed": source.seed, **source.kept}
    recipe = recipe_of("compress", {"run": source.run.folder}, {"compressing": asked})
    dataset = source.run.dataset()
    try:
        with begun(folder, freeze(dataset, arguments), resume=False, recipes={RECIPE_FILE: recipe}) as new:
            new.update(seed=source.seed)
            made = _Work(source, new, started, pick_device(device)).done()
            finish(new, started)
    except (UnmetError, UsageError, DataError):
        if not Run(folder).record()["test_opened"]:  # a look at it stays on record
            shutil.rmtree(folder)
        raise
    write_report(new.folder)
    return made


@dataclass(frozen=True, eq=False)
class _Stage:
    """What there was before any method, or after one: a classifier, its worth on val, and images as it sees them.

    `plain` is it without what is fitted to the answers of a model, which is timed.
    """

    name: str
    classifier: Classifier
    plain: Classifier
    figure: Estimate
    images: Images
    made: Compressed

    @property
    def value(self) -> float:
        """The metric on val."""
        return float("nan") if self.figure.value is None else self.figure.value


@dataclass(frozen=True, eq=False)
class _Work:
    """One compression: from a source into a run that has begun."""

    source: Source
    new: Run
    started: float
    device: str
    workshops: dict[tuple[int, int], Workshop] = field(default_factory=dict)

    def done(self) -> Classifier:
        """Compress, then conclude as every training is concluded, and say what it cost."""
        source, new = self.source, self.new
        with timed(new, "decode, audit, split"):
            prepared = self._prepared(source.classifier)
        stages, prepared = self._stages(prepared)
        new.write_findings("audit", prepared.findings)
        new.write_dataset(prepared.dataset)
        logger.info(f"Measuring speed before and after {counted(len(stages) - 1, 'method')}.")
        with working("Measuring speed"), timed(new, "speed"):
            points = self._points(stages)
        require_met(points, source.wanted, TASKS[source.classifier.task].metric)
        made = attempted_and_concluded(self._training(prepared, stages), prepared, new)
        new.update(
            chosen_because=f"{source.run.folder.name} was compressed by {', then '.join(source.methods)}.",
            origin={"run": str(source.run.folder.resolve()), "methods": list(source.methods)},
        )
        self._tell(points, stages)
        return made

    def _prepared(self, classifier: Classifier) -> Prepared:
        dataset, kept = self.source.run.dataset(), self.source.kept
        return prepare(
            dataset,
            classifier.recipe,
            seed=self.source.seed,
            duplicates=kept["duplicates"] or "near",
            keep_splits=dataset,
        )

    def _stages(self, prepared: Prepared) -> tuple[list[_Stage], Prepared]:
        """What each method made of what came before it, and the images as the last one sees them."""
        classifier, new = self.source.classifier, self.new
        worth = Worth(classifier, Material.of(prepared, classifier.recipe))
        stages = [_stage("before", Compressed(classifier), worth)]
        for name in self.source.methods:
            logger.info(f"Compressing by {name}.")
            with working(f"Compressing by {name}"), timed(new, name):
                made = COMPRESSORS[name].make(classifier, self._workshop(worth, stages[0].value))
            if made.classifier.recipe != classifier.recipe:
                prepared = self._prepared(made.classifier)
            classifier = made.classifier
            worth = Worth(classifier, Material.of(prepared, classifier.recipe))
            stages.append(_stage(name, made, worth))
            for note in made.warnings:
                logger.warning(note)
        return stages, prepared

    def _workshop(self, worth: Worth, reference: float) -> Workshop:
        material, seed = worth.material, self.source.seed
        options = options_of(self.source.run.record()["arguments"], seed, self.device)
        teacher = self.source.run.folder
        return Workshop(
            material.train.images,
            material.train.targets,
            material.val.images,
            worth.of_logits,
            worth,
            worth.figure,
            Tuning(material, options, teacher),
            Teaching(material, options, teacher),
            worth.milliseconds,
            partial(self._at, worth, reference),
            self.source.classifier,
            reference,
            self.source.wanted,
            seed,
        )

    def _at(self, worth: Worth, reference: float, size: int) -> Workshop:
        """The workshop for images of another size, decoded anew."""
        if size == worth.classifier.recipe.size:
            return self._workshop(worth, reference)
        if (known := self.workshops.get((id(worth), size))) is not None:
            return known
        classifier = worth.classifier.with_(recipe=replace(worth.classifier.recipe, size=size))
        material = Material.of(self._prepared(classifier), classifier.recipe)
        found = self.workshops[id(worth), size] = self._workshop(Worth(classifier, material), reference)
        return found

    def _points(self, stages: Sequence[_Stage]) -> list[Point]:
        measured = speeds([one.plain for one in stages], [one.images for one in stages])
        return [
            Point(
                one.name,
                one.value,
                one.classifier.model.megabytes,
                speed,
                (one.figure.lo, one.figure.hi),
                joules_per_image(one.plain, one.images),
            )
            for one, speed in zip(stages, measured, strict=True)
        ]

    def _training(self, prepared: Prepared, stages: Sequence[_Stage]) -> Training:
        """The one step, which there is nothing left to learn for, with what the run promised."""
        kept, last = self.source.kept, stages[-1].classifier
        notes = [note for one in stages for note in (*one.made.notes, *one.made.warnings)]
        if self.source.classifier.policy.group_thresholds:
            notes.append("Thresholds for groups of the run are left out: they were fitted to its own probabilities.")
        if any(self.source.classifier.prior_shift):
            notes.append("The run was adapted to other shares of the classes, and this is not: adapt it again.")
        fitted = Fitted(last.model, notes=notes, plan=Plan("cpu").to_json())
        return Training(
            prepared.dataset,
            None,
            [Step("+".join(self.source.methods), Rung(lambda job: fitted, pretrained=None))],
            [],
            last.recipe,
            Options(seed=self.source.seed),
            Aims(**{name: kept[name] for name in AIMS if kept[name] is not None}),
            Preparation(duplicates=kept["duplicates"] or "near"),
            kept["ood"] or "auto",
            self.started,
            None,
        )

    def _searched(self, stages: Sequence[_Stage]) -> list[Finding]:
        """The finding of a search, where there was one: a row for each network that it looked at."""
        rows = [row for one in stages for row in (one.made.facts or {}).get("seen", ())]
        told = next((one.made.notes[0] for one in stages if "seen" in (one.made.facts or {})), "")
        return [Finding(f"{FINDING}_search", told, rows=rows)] if rows else []

    def _tell(self, points: Sequence[Point], stages: Sequence[_Stage]) -> None:
        """Write down what was lost and won, on the split that both runs were judged on, and count the look at it."""
        old, new = self.source.run, self.new
        split = new.judged_on
        if split == "test":
            with old.locked():
                old.count_test(f"compress into {new.folder.name}")
        names = (old.folder.resolve().name, new.folder.resolve().name)
        found = before_and_after(old.predictions(split), new.predictions(split), names, points)
        new.write_findings(FINDING, [found, points_finding(points), *self._searched(stages)])
        logger.info(found.summary)


def _stage(name: str, made: Compressed, worth: Worth) -> _Stage:
    images, model = worth.material.val.images[:TOGETHER], made.classifier.model
    return _Stage(name, made.classifier, worth.plain(model), worth.figure(model), images, made)
