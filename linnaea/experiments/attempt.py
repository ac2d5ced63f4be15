"""One attempt: a step fitted on some images and judged on others. It writes nothing but into its own folder.

Whatever chooses, a ladder, a search, folds, seeds, an estimator, chooses among attempts: what they learn from is
`Material` (of a split or a fold), how they train says the job (its seed, its deadline), and what comes of it is an
`Attempted`.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from linnaea.arrays import Float32, Images, Integers
from linnaea.classifier import Classifier, known_columns, load
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe, rows_of
from linnaea.decisions import Policy
from linnaea.errors import BundleError, LinnaeaError, RunError
from linnaea.evidence import figure_of
from linnaea.experiments.groups.membership import groups_in
from linnaea.experiments.preparation import Prepared
from linnaea.finding import Estimate
from linnaea.learning.batches.crops import Photos
from linnaea.learning.examples import Examples
from linnaea.learning.processes import LostError
from linnaea.learning.rungs import Fitted, Job, Options, Step
from linnaea.models.embedding import embed
from linnaea.models.feature_cache import embed_once
from linnaea.predictions import Predictions
from linnaea.runtime.containers import Located
from linnaea.runtime.files import read_json, write_json
from linnaea.task import TASKS
from linnaea.taxonomy import Taxonomy

FAILURES = (LinnaeaError, RuntimeError, AssertionError, TypeError, ValueError)  # what networks raise on odd sizes
TIMED = 64  # images by which speed is told where nothing else has to be embedded
FAMILIARITY_IMAGES = 2_000  # that it is fitted on, at the most
KEPT = "attempt.json"
logger = logging.getLogger("linnaea")


@dataclass(frozen=True, eq=False)
class Material:
    """Images decoded by `recipe`, to train on and to validate on, of one split or one fold.

    `columns` are what predictions of the val images keep of them: id, truth and, where there are some, groups. `tests`
    is the number of test images, which whoever concludes will look at; `ids` are what the training images are called,
    `paths` where they lie.
    """

    train: Examples
    val: Examples
    classes: tuple[str, ...]
    task: str
    recipe: Recipe
    columns: Mapping[str, Sequence[Any]]
    tree: Taxonomy | None = None
    tests: int = 0
    ids: Sequence[str] = ()
    paths: Sequence[Located] = ()

    @classmethod
    def of(cls, prepared: Prepared, recipe: Recipe) -> "Material":
        """The splits train and val of a prepared dataset."""
        dataset = prepared.dataset
        groups = groups_in(dataset)

        def examples(name: str) -> Examples:
            rows = prepared.rows(name)
            own = None if groups is None else groups[rows]
            return Examples(rows_of(prepared.decoded.images, rows), dataset.targets[rows], own)

        return cls(
            examples("train"),
            examples("val"),
            dataset.classes,
            dataset.task,
            recipe,
            known_columns(dataset.split("val")),
            dataset.tree,
            len(prepared.rows("test")),
            dataset.split("train").ids,
            dataset.split("train").paths,
        )

    def job(self, options: Options, deadline: float) -> Job:
        """What rungs are given of it; attempts with the same job share features, heads and trials."""
        return Job(
            self.train,
            self.val,
            len(self.classes),
            TASKS[self.task],
            options,
            names=self.classes,
            ids=self.ids,
            photos=Photos(self.paths, self.recipe) if self.paths else None,
            tree=self.tree,
            deadline=deadline,
            afterwards=len(self.val) + self.tests + len(self.familiar()),
        )

    def familiar(self, most: int = FAMILIARITY_IMAGES) -> Integers:
        """The positions in `train` that familiarity is fitted on: `most` of them, always the same."""
        count = len(self.train)
        return np.arange(count) if count <= most else np.sort(np.random.default_rng(0).permutation(count)[:most])


@dataclass(frozen=True)
class Cost:
    """What an attempt took, `seconds` of fitting with features that were kept counted as computed, and what it makes.

    `megabytes` are 10^6 bytes of weights, `images_per_second` how fast the val images are embedded.
    """

    seconds: float
    megabytes: float
    images_per_second: float


@dataclass(frozen=True, eq=False)
class Attempted:
    """What came of an attempt: where it finished its classifier, not calibrated yet, and its answers on val.

    `figure` is the task's metric on val. `val_features` and `train_features` are what the model made of those images,
    where that is known; `fixed` says that its features are those of a body that stays as it is, which are kept in the
    cache. `status` is finished, failed (of `error`) or skipped.
    """

    name: str
    status: str = "finished"
    note: str = ""
    cost: Cost | None = None
    figure: Estimate | None = None
    classifier: Classifier | None = None
    predictions: Predictions | None = None
    val_features: Float32 | None = None
    train_features: Float32 | None = None
    fixed: bool = False
    baseline: bool = False
    warnings: Sequence[str] = ()
    error: Exception | None = None

    @property
    def finished(self) -> Classifier:
        """Its classifier; raises what it failed of."""
        if self.error is not None:
            raise self.error
        assert self.classifier is not None, "an attempt that did not fail has one"
        return self.classifier

    def embed(self, images: Images) -> Float32:
        """What its model makes of images (N, S, S, 3): features (N, D), looked up where they are kept."""
        return (embed_once if self.fixed else embed)(self.finished.model, images)


def attempt(
    step: Step,
    material: Material,
    job: Job,
    folder: Path | None = None,
    tell: Callable[[dict[str, Any]], None] = lambda row: None,
    show: Callable[[Tensor, Tensor], None] | None = None,
) -> Attempted:
    """Fit a step by its job and judge it on the val images.

    `folder` keeps checkpoints and, in the end, what came of it: an attempt that was broken off goes on there, and one
    that finished is taken from there. `tell` is given a row per epoch, `show` the images and targets of the first batch
    as a network sees them. Failing is told, not raised.
    """
    known = None if folder is None else _known(step, folder)
    if known is not None:
        return known
    started = time.perf_counter()
    own = replace(
        job,
        weights=step.weights,
        network=step.network,
        arguments=step.arguments,
        checkpoints=folder,
        on_epoch=tell,
        on_fed=show,
    )
    try:
        fitted = step.rung.fit(own)
    except LostError:  # there is nobody left to climb on with
        raise
    except FAILURES as error:
        kind = "" if isinstance(error, LinnaeaError) else f"{type(error).__name__}: "
        cost = Cost(time.perf_counter() - started, 0.0, 0.0)
        return Attempted(step.name, "failed", f"{kind}{error}", cost, error=error)
    done = _judged(step, material, fitted, time.perf_counter() - started)
    if folder is not None:
        _keep(done, folder)
    return done


def _judged(step: Step, material: Material, fitted: Fitted, seconds: float) -> Attempted:
    classifier = Classifier(
        scorer_of(fitted.model.cpu()),
        material.classes,
        material.task,
        material.recipe,
        policy=Policy(parents=material.tree.parents if material.tree is not None else ()),
        provenance=_provenance(step, fitted),
    )
    features, speed = _timed_features(classifier, material.val.images, fitted.val_features)
    saved = fitted.known / speed
    outputs = classifier.score_features(features)
    predictions = classifier.answer(outputs, dict(material.columns), [None] * len(material.val))
    return Attempted(
        step.name,
        note=" ".join([*fitted.warnings, *fitted.notes, *_on_cost(fitted.known, saved)]),
        cost=Cost(seconds + saved, fitted.model.megabytes, speed),
        figure=figure_of(predictions),
        classifier=classifier,
        predictions=predictions,
        val_features=features,
        train_features=fitted.features,
        fixed=fitted.fixed,
        baseline=step.rung.baseline,
        warnings=fitted.warnings,
    )


def _on_cost(known: int, seconds: float) -> list[str]:
    """That features an earlier run had kept are counted as if they had been computed."""
    if not known:
        return []
    told = f"The features of {known:,} images were in the cache; the {seconds:.1f} s it takes to"
    return [f"{told} compute them are counted."]


def _timed_features(classifier: Classifier, images: Images, known: Float32 | None) -> tuple[Float32, float]:
    """Features of the val images, and images per second; where they are known, by some of them."""
    embed(classifier.model, images[:TIMED])
    timed = images if known is None else images[:TIMED]
    started = time.perf_counter()
    features = embed(classifier.model, timed)
    speed = len(timed) / (time.perf_counter() - started)
    return (features if known is None else known), speed


def _provenance(step: Step, fitted: Fitted) -> dict[str, Any]:
    weights = step.weights.provenance() if step.weights is not None else None
    return {"rung": step.name, "weights": weights, "plan": fitted.plan, "notes": list(fitted.notes)}


def _keep(done: Attempted, folder: Path) -> None:
    """Keep what finished, so that it need not be done again."""
    assert done.predictions is not None, "it finished"
    assert done.cost is not None, "it finished"
    assert done.figure is not None, "it finished"
    place = folder / "finished"
    done.finished.save(place)
    done.predictions.keep(place / "val.parquet")
    told = {"note": done.note, "fixed": done.fixed, "cost": asdict(done.cost), "figure": asdict(done.figure)}
    write_json(place / KEPT, told)


def _known(step: Step, folder: Path) -> Attempted | None:
    place = folder / "finished"
    if not (place / KEPT).exists():
        return None
    try:
        told, classifier = read_json(place / KEPT), load(place)
        predictions = Predictions.read(place / "val.parquet")
        cost, figure = Cost(**told["cost"]), Estimate(**told["figure"])
    except (BundleError, RunError, LookupError, TypeError) as error:
        logger.warning(f"{step.name} is fitted again, because what was saved cannot be used: {error}")
        return None
    return Attempted(
        step.name,
        note=str(told["note"]),
        cost=cost,
        figure=figure,
        classifier=classifier,
        predictions=predictions,
        fixed=bool(told["fixed"]),
        baseline=step.rung.baseline,
    )
