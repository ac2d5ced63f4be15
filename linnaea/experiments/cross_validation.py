"""Cross-validation: the images of train and val in folds, each judged by what learnt from the others."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from linnaea.arrays import Integers
from linnaea.classifier import known_columns
from linnaea.data.images.pixels import Recipe
from linnaea.data.splits import assign_folds, each_fold, given_folds
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.evidence import figure_of, figures
from linnaea.evidence.calibration import Aims
from linnaea.evidence.keeping import keep_figures
from linnaea.experiments.attempt import Attempted, Material
from linnaea.experiments.conclusion import FEWEST_FAMILIARITY_IMAGES, calibrated
from linnaea.experiments.preparation import Prepared
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.progress import working
from linnaea.statistics.repeats import deviation, mean_over
from linnaea.task import TASKS

NAME = "folds"
DEVELOPED = ("train", "val")
METHOD = "over folds, Nadeau and Bengio (2003), no narrower than over images"
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Fold:
    """One fold: what is attempted in it, and the images that are left out, which its `prepared` calls test."""

    number: int
    prepared: Prepared
    material: Material

    def judged(self, chosen: Attempted, aims: Aims) -> Predictions:
        """What the chosen attempt, calibrated within the fold, says of the images that are left out.

        Decided by the likelier class or label, as rungs are compared, and without a look at familiarity.
        """
        plain = replace(aims, aim=None)
        ready = calibrated(chosen, self.material, plain, ood="none", most=FEWEST_FAMILIARITY_IMAGES)
        rows = self.prepared.rows("test")
        outputs = ready.classifier.score_features(chosen.embed(self.prepared.decoded.images[rows]))
        part = self.prepared.dataset.take(rows.tolist())
        answers = ready.classifier.answer(outputs, known_columns(part), [None] * len(rows))
        return answers.with_table(answers.table.append_column("fold", pa.array([self.number] * len(rows))))


@dataclass(frozen=True)
class Folds:
    """The images of train and val of a prepared dataset, with the fold of each (N,), from 1 on."""

    prepared: Prepared
    assigned: Integers

    @classmethod
    def of(cls, prepared: Prepared, folds: int, seed: int, known: Mapping[str, int] | None = None) -> "Folds":
        """Those that are `known` by path, else those that the data names, else dealt out by class, groups together.

        Raises DataError where a class would be missing from a fold.
        """
        part = developed(prepared)
        ids = part.dataset.ids
        assigned = np.array([known[name] for name in ids]) if known else _assigned(part, folds, seed)
        _require_classes(part.dataset, assigned, folds)
        return cls(part, assigned)

    def __len__(self) -> int:
        return int(self.assigned.max())

    @property
    def torn(self) -> int:
        """How many images have a copy, or others of their group, in another fold: as the data deals them out."""
        units = self.prepared.units
        met = {unit: set(self.assigned[units == unit].tolist()) for unit in np.unique(units).tolist()}
        return sum(len(met[unit]) > 1 for unit in units.tolist())

    def each(self, recipe: Recipe, seed: int) -> Iterator[Fold]:
        """Each fold left out in turn; val comes out of the rest."""
        part = self.prepared
        parts = each_fold(part.dataset, self.assigned[:, None], part.units, seed=seed)
        for number, dataset in enumerate(parts, 1):
            prepared = Prepared(dataset, part.decoded, [], part.units)
            yield Fold(number, prepared, Material.of(prepared, recipe))

    def in_turn_val(self, recipe: Recipe) -> Iterator[Material]:
        """Each fold as val in turn, all others as train."""
        for fold in range(1, len(self) + 1):
            parts = np.where(self.assigned == fold, "val", "train").tolist()
            dataset = self.prepared.dataset.with_column("split", parts)
            yield Material.of(replace(self.prepared, dataset=dataset), recipe)


def developed(prepared: Prepared) -> Prepared:
    """The images of train and val, without their splits; the sealed test images stay out."""
    rows = np.flatnonzero([name in DEVELOPED for name in prepared.dataset.column("split")])
    return Prepared(
        prepared.dataset.take(rows.tolist()), prepared.decoded.take(rows.tolist()), [], prepared.units[rows]
    )


def _assigned(part: Prepared, folds: int, seed: int) -> Integers:
    """The fold of each image (N,): as the data has it, else dealt out."""
    given = given_folds(part.dataset)
    if given is None:
        plain = replace(part.dataset, table=part.dataset.table.drop_columns("split"))
        return assign_folds(plain, part.units, folds=folds, seed=seed)[:, 0]
    if given.max() != folds:
        raise UsageError(
            f"the data names {given.max()} folds in its column fold_1, and {folds} are requested: ask for "
            f"{given.max()}, or remove the column."
        )
    return given[:, 0]


def require_enough(dataset: Dataset, folds: int | None) -> None:
    """Raise DataError where a class has fewer images than there are to be folds."""
    if folds is None:
        return
    counts = Counter(label for labels in dataset.label_lists for label in labels)
    few = {name: count for name, count in counts.items() if count < folds}
    if few:
        raise _too_few(few, folds, "images")


def _too_few(few: dict[str, int], folds: int, what: str) -> DataError:
    listed = ", ".join(f"{name!r} ({count})" for name, count in sorted(few.items(), key=lambda one: one[1])[:5])
    most = max(2, min(few.values()))
    return DataError(
        f"each class must be met in each of {folds} folds, and {len(few)} of them have fewer {what} than that: "
        f"{listed}. Ask for fewer folds{f', such as --folds {most}' if most < folds else ''}, or add images of them, "
        "or merge them with others."
    )


def _require_classes(dataset: Dataset, assigned: Integers, folds: int) -> None:
    """Raise DataError where a class is missing from a fold, as its images belong together in too few groups."""
    met: dict[str, set[int]] = {}
    for fold, labels in zip(assigned.tolist(), dataset.label_lists, strict=True):
        for label in labels:
            met.setdefault(label, set()).add(fold)
    few = {name: len(found) for name, found in met.items() if len(found) < folds}
    if few:
        raise _too_few(few, folds, "independent images (copies and groups count once) in train and val")


@dataclass(frozen=True)
class Judged:
    """A fold that was judged: what was chosen in it, what that says of the images left out, and the seconds it took."""

    chosen: str
    predictions: Predictions
    seconds: float

    def row(self, number: int) -> dict[str, Any]:
        """Its row in a table."""
        found = figure_of(self.predictions)
        return {
            "fold": number,
            "chosen": self.chosen,
            "images": len(self.predictions),
            "value": found.value,
            "lo": found.lo,
            "hi": found.hi,
            "seconds": round(self.seconds, 1),
        }


def cross_validate(
    folds: Folds, recipe: Recipe, seed: int, run: Run, aims: Aims, choose_in: Callable[[Fold], tuple[str, Attempted]]
) -> Finding:
    """Judge each fold by what `choose_in` chooses from its rest; keep all that is said of images when left out.

    That lies in `predictions/folds.parquet`, the figures in `metrics.json` and `findings/folds.json`.
    """
    found: list[Judged] = []
    for fold in folds.each(recipe, seed):
        started = time.perf_counter()
        with working(f"fold {fold.number} of {len(folds)}"):
            words, chosen = choose_in(fold)
            judged = Judged(words, fold.judged(chosen, aims), time.perf_counter() - started)
        found.append(judged)
        logger.info(_told(judged.row(fold.number), len(folds), judged.predictions.rules.metric))
    pooled = found[0].predictions.with_table(pa.concat_tables([one.predictions.table for one in found]))
    pooled.keep(run.folder / "predictions" / f"{NAME}.parquet")
    finding = folds_finding(pooled, [one.row(number) for number, one in enumerate(found, 1)], folds.torn)
    keep_figures(run.folder, NAME, figures(pooled), [finding])
    if finding.severity != "info":
        logger.warning(finding.summary)
    return finding


def folds_finding(pooled: Predictions, rows: Sequence[dict[str, Any]], torn: int = 0) -> Finding:
    """The mean over folds, with an interval no narrower than that over the pooled images, and the spread.

    `torn` is the number of images with a copy or others of their group in another fold, of which it warns.
    """
    whole, count, metric = figure_of(pooled), len(rows), TASKS[pooled.task].metric
    values = [row["value"] for row in rows if row["value"] is not None]
    mean = _no_narrower(mean_over(values, len(pooled), "fold", overlap=1 / max(1, count - 1)), whole)
    spread = f"{min(values):.3f} to {max(values):.3f}, standard deviation {deviation(values):.3f}" if values else "none"
    known = f" {torn} of them have a copy or others of their group there, so that it is too good." if torn else ""
    return Finding(
        NAME,
        f"Cross-validated over {count} folds of the {len(pooled)} images of train and val: {metric} {mean}; single "
        f"folds {spread}. Each image was judged by what learnt from other folds.{known}",
        severity="warning" if torn else "info",
        count=len(pooled),
        figure=mean,
        rows=rows,
    )


def _no_narrower(mean: Estimate, whole: Estimate) -> Estimate:
    """The mean over folds with an interval that holds as much on either side as that over all images."""
    if None in (mean.value, whole.value, whole.lo, whole.hi):
        return mean
    assert mean.value is not None, "it is defined"
    assert whole.value is not None, "it is defined"
    assert whole.lo is not None, "it is defined"
    assert whole.hi is not None, "it is defined"
    below, above = whole.value - whole.lo, whole.hi - whole.value
    lo = min(mean.value - below, mean.value if mean.lo is None else mean.lo)
    hi = max(mean.value + above, mean.value if mean.hi is None else mean.hi)
    return replace(mean, lo=max(0.0, lo), hi=min(1.0, hi), method=METHOD)


def _told(row: dict[str, Any], folds: int, metric: str) -> str:
    value = "not defined" if row["value"] is None else f"{row['value']:.1%}"
    return f"fold {row['fold']} of {folds}: {metric} {value} on {row['images']} images left out, {row['chosen']}"
