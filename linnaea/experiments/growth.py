"""The classifier of a run learns further classes; what it sees with stays as it is."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from linnaea.classifier import Classifier, load
from linnaea.dataset import MANIFEST, Dataset, Excluded
from linnaea.delivery.report import write_report
from linnaea.errors import UsageError
from linnaea.evidence.calibration import Aims
from linnaea.evidence.comparison.differences import change_of
from linnaea.evidence.uncertainty import sample_of
from linnaea.experiments.preparation import Prepared, prepare
from linnaea.experiments.recipe_file import FILE as RECIPE_FILE
from linnaea.experiments.recipe_file import recipe_of
from linnaea.experiments.run_life import begun, free_folder, freeze, timed
from linnaea.experiments.training import Training
from linnaea.experiments.training_run import attempted_and_concluded, finish
from linnaea.finding import Finding
from linnaea.learning.heads import choose, fit_path
from linnaea.learning.losses import is_for
from linnaea.learning.rungs import Fitted, Job, Options, Rung, Step
from linnaea.models.feature_cache import embed_once
from linnaea.models.model import Model
from linnaea.options import Preparation
from linnaea.run import Run
from linnaea.statistics.intervals import estimate
from linnaea.task import TASKS, infer_task

logger = logging.getLogger("linnaea")
NAME = "grown"
UNNAMED = re.compile(r"new-\d+")
AIMS = tuple(field.name for field in fields(Aims))


def require_growable(classifier: Classifier, data: Dataset) -> None:
    """Raise UsageError where the head cannot be fitted again, or images have several labels."""
    if not classifier.scorer.gradients and not classifier.scorer.whole:
        raise UsageError(
            f"a classifier of the kind {classifier.scorer.kind} cannot grow: train it again with all images, or use a "
            "run with a network or hog."
        )
    if not classifier.model.has_linear_head:
        raise UsageError(
            f"the model {classifier.model.kind} does not look at the images and cannot grow: use a run with another "
            "model."
        )
    if TASKS[classifier.task].multilabel or data.multilabel:
        raise UsageError(
            f"to grow, each image must have one label, and {'the run' if not data.multilabel else data.root} has "
            "several: an image labelled before would have to be looked at again for every new class. Label them in "
            "full and train again."
        )


def united(old: Dataset, new: Dataset) -> Dataset:
    """The images of a run and, by their whole paths and without a hash, new ones; classes of the run come first."""
    place = new.root.resolve()
    paths = [(place / name).as_posix() for name in new.ids]
    columns: dict[str, Sequence[Any]] = {"path": paths, "label": new.labels}
    columns |= {name: new.column(name) for name in ("split", "group") if new.has(name)}
    columns |= {name: [None if value is None else str(value) for value in new.column(name)] for name in new.metadata}
    kept = [name for name in dict.fromkeys((*MANIFEST, *old.metadata, *columns)) if old.has(name) or name in columns]
    parts = [
        {name: pa.array(_values(old, name), pa.string()) for name in kept},
        {name: pa.array(columns.get(name, [None] * len(new)), pa.string()) for name in kept},
    ]
    classes = (*old.classes, *(name for name in new.classes if name not in old.classes))
    excluded = [replace(entry, path=(place / entry.path).as_posix()) for entry in new.excluded]
    taxonomy = {**old.taxonomy, **new.taxonomy}
    table = pa.concat_tables([pa.table(part) for part in parts])
    known = set(old.ids)
    twice = [Excluded(path, "already an image of the run") for path in paths if path in known]
    dataset = Dataset(table, classes, infer_task(classes, taxonomy), old.root, (*old.excluded, *excluded), taxonomy)
    return dataset.without(twice) if twice else dataset


def _values(dataset: Dataset, name: str) -> list[Any]:
    return dataset.column(name) if dataset.has(name) else [None] * len(dataset)


def grown_folder(old: Run, out: str | Path | None) -> Path:
    """Where the new run goes: `out`, else a new folder beside the old run."""
    if out is not None:
        return Path(out)
    own = old.folder.resolve()
    return free_folder(own.with_name(f"{own.name}-{NAME}"))


def fit_head(job: Job, model: Model) -> Fitted:
    """Logistic regression with the task's loss on the model's features, its strength chosen on val."""
    features, val = embed_once(model, job.train.images), embed_once(model, job.val.images)
    heads = fit_path(features, job.train.targets, job.classes, loss=job.criterion.losses)
    best = choose(heads, val, job.val.targets)
    grown = model.with_head(torch.from_numpy(best.weight), torch.from_numpy(best.bias))
    notes = [f"The head's strength C = {best.strength} was chosen on val."]
    return Fitted(grown, notes=notes, features=features, val_features=val, fixed=True)


def cost_finding(old: Run, new: Run, before: Sequence[str]) -> Finding:
    """What growing changed for the images that the run was judged on before, and how the new classes fare."""
    split = old.judged_on
    first, second = old.predictions(split), new.predictions(split)
    place = {name: row for row, name in enumerate(second.column("id"))}
    first = first.with_table(first.table.filter([name in place for name in first.column("id")]))
    hits = [part.answers == part.targets for part in (first, second)]
    left, right = hits[0], hits[1][[place[name] for name in first.column("id")]]
    everything, sample = np.ones(len(first), dtype=bool), sample_of(first)
    change = estimate({"change": change_of(left, right, everything, sample)}, sample)["change"]
    added = [name for name in new.dataset().classes if name not in before]
    truths = np.array(second.column("truth"), dtype=object)
    table = []
    for name in added:
        of_class = truths == name
        table.append({"class": name, "images": int(of_class.sum()), "recall": _mean(hits[1][of_class])})
    fresh = f" New: {', '.join(added)}." if added else ""
    span = "" if change.lo is None or change.hi is None else f" ({100 * change.lo:+.1f} to {100 * change.hi:+.1f})"
    worse = change.hi is not None and change.hi < 0
    return Finding(
        NAME,
        f"Of the {len(first)} {split} images of {old.folder.name}, {left.mean():.1%} were classified correctly before "
        f"and {right.mean():.1%} are now: {100 * (change.value or 0.0):+.1f} points{span}.{fresh}",
        severity="warning" if worse else "info",
        count=len(first),
        figure=change,
        rows=table,
    )


def _mean(values: Any) -> float | None:
    return float(values.mean()) if len(values) else None


@dataclass(frozen=True)
class Growth:
    """A run that is to learn more: its classifier, its images and the new ones together, and the arguments it keeps."""

    run: Run
    classifier: Classifier
    dataset: Dataset
    seed: int
    kept: Mapping[str, Any]

    @classmethod
    def of(cls, run: Run, given: Dataset) -> "Growth":
        """Of a run and images with labels; raises UsageError where it cannot learn them."""
        run.require_finished()
        classifier, record = load(run.model_folder), run.record()
        require_growable(classifier, given)
        _warn_of_unnamed(given)
        both = united(run.dataset(), given)
        kept = {name: record["arguments"].get(name) for name in (*AIMS, "ood", "duplicates", "loss")}
        if kept["aim"] is not None and both.task != "binary":
            kept["aim"] = None
            logger.warning("The aim of the run is dropped: it was for two classes, and now there are more.")
        if kept["loss"] is not None and not is_for(kept["loss"].partition(":")[0], both.task):
            logger.warning(f"The loss {kept['loss']} of the run is dropped: it is not for {both.task} data, as these.")
            kept["loss"] = None
        return cls(run, classifier, both, record["seed"], kept)

    def training(self, started: float) -> Training:
        """The one step, with what the run promised."""
        step = Step(NAME, Rung(lambda job: fit_head(job, self.classifier.model), pretrained=None))
        return Training(
            self.dataset,
            None,
            [step],
            [],
            self.classifier.recipe,
            Options(seed=self.seed, loss=self.kept["loss"]),
            Aims(**{name: self.kept[name] for name in AIMS if self.kept[name] is not None}),
            Preparation(duplicates=self.kept["duplicates"] or "near"),
            self.kept["ood"] or "auto",
            started,
            None,
        )


def carry_out(growth: Growth, folder: Path, given: Dataset, asked: object, started: float) -> Classifier:
    """Fit the head again, conclude and report, in a new run of this folder; `asked` is what `given` was read from."""
    old = growth.run
    arguments = {"grown_from": str(old.folder.resolve()), "data": str(given.root.resolve()), "seed": growth.seed}
    recipe = recipe_of("grow", {"run": old.folder, "data": asked}, {})
    with begun(
        folder, freeze(growth.dataset, {**arguments, **growth.kept}), resume=False, recipes={RECIPE_FILE: recipe}
    ) as new:
        new.update(seed=growth.seed)
        if old.judged_on == "test":  # what growing costs is told by it
            with old.locked():
                old.count_test(f"grow into {new.folder.name}")
        with timed(new, "decode, audit, split"):
            prepared = _prepared(growth, new)
        grown = attempted_and_concluded(growth.training(started), prepared, new)
        new.update(chosen_because=f"The head of {old.folder.name} was fitted again.")
        finding = cost_finding(old, new, growth.classifier.classes)
        new.write_findings(NAME, [finding])
        logger.info(finding.summary)
        finish(new, started)
    write_report(new.folder)
    return grown


def _prepared(growth: Growth, new: Run) -> Prepared:
    """The images decoded and audited, new ones split, all of it written down."""
    prepared = prepare(
        growth.dataset,
        growth.classifier.recipe,
        seed=growth.seed,
        duplicates=growth.kept["duplicates"] or "near",
        keep_splits=growth.dataset,
    )
    new.write_findings("audit", prepared.findings)
    new.write_dataset(prepared.dataset)
    return prepared


def _warn_of_unnamed(given: Dataset) -> None:
    unnamed = [name for name in given.classes if UNNAMED.fullmatch(name)]
    if unnamed:
        logger.warning(
            f"{', '.join(unnamed)}: these groups have not been renamed and become classes under these names."
        )
