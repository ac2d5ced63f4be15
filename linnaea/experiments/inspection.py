"""`audit`: look at labelled images before any model of the user's does."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from linnaea.arrays import Integers
from linnaea.data.audit import Inspection
from linnaea.data.audit.survey import Digest, Embedding, digest
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.data.splits import random_folds
from linnaea.dataset import Dataset
from linnaea.learning.crossfit import cross_fit
from linnaea.models.embedding import WORTH_MEASURING, embed, measure_embedding
from linnaea.models.feature_cache import embed_once
from linnaea.models.hog import Hog
from linnaea.models.model import Model
from linnaea.models.weights import Weights, find_weights
from linnaea.runtime.containers import Located
from linnaea.runtime.plan import Plan

AUDIT_SIZE = 96
MOST_FITTED, MOST_SCORES = 50_000, 10**8
FEWEST_JUDGED = 50
MEASURED_WITH = 16  # images that the execution plan is measured on


def embedding_for(
    weights: str | Path, size: int | None, fit: str, paths: Sequence[Located]
) -> tuple[Embedding, int, str]:
    """The features that the audit looks at, the side of the images they are made of, and where they come from.

    `weights` is a file or "auto" for a pretrained network, where one can be had, or "none" for HOG and colours;
    `paths` are the images to come, `fit` the way they become square.
    """
    found, note = find_weights(weights, None)
    own = size or (AUDIT_SIZE if found is None else found.size)
    told = f"{note} The audit uses HOG and colours." if found is None else note
    return _embedding_by(found, Recipe(own, fit), paths), own, told


def closer_look(weights: Weights | None, recipe: Recipe, seed: int) -> Callable[[Inspection], Inspection]:
    """Adds to an inspection of readable images what `audit` sees of them: files, looks, features of `weights`, a judge.

    None of the images is read again that was looked at before.
    """
    recipe = recipe if weights else replace(recipe, size=AUDIT_SIZE)

    def look(inspection: Inspection) -> Inspection:
        dataset = inspection.dataset
        found = digest(dataset.paths, recipe, _embedding_by(weights, recipe, dataset.paths))
        if found.excluded(dataset.ids):  # a file that changed meanwhile; whoever needs it next says so
            return inspection
        return inspect(dataset, found, inspection.duplicates, recipe, seed, pretrained=weights is not None)

    return look


def inspect(
    dataset: Dataset, found: Digest, duplicates: Integers, recipe: Recipe, seed: int, *, pretrained: bool
) -> Inspection:
    """What the checks see: `found` of the readable images of `dataset`, in its order."""
    seen = Inspection(dataset, duplicates, found.facts, found.looks, found.features)
    inspection = replace(seen, fit=recipe.fit, channels=recipe.channels, pretrained=pretrained)
    folds = random_folds(inspection.apart, seed=seed)
    if why := _unjudged(dataset, folds):
        return replace(inspection, unjudged=why)
    judge = cross_fit(found.features, folds)
    return replace(inspection, judge=lambda targets: judge(targets, len(dataset.classes)))


def _unjudged(dataset: Dataset, folds: Integers) -> str:
    """Why labels cannot be checked; empty where they can."""
    if dataset.multilabel:
        return "images with several labels are not judged by this audit"
    if len(set(dataset.labels)) < 2:
        return "there is only one class"
    if len(dataset) > MOST_FITTED:
        return f"more than {MOST_FITTED:,} images"
    if len(dataset) * len(dataset.classes) > MOST_SCORES:
        return f"{len(dataset):,} images of {len(dataset.classes):,} classes are too many to score"
    if len(dataset) < FEWEST_JUDGED:
        return f"{len(dataset)} images are too few; {FEWEST_JUDGED} are needed"
    return "" if len(np.unique(folds)) > 1 else "all images belong to one group"


def _embedding_by(weights: Weights | None, recipe: Recipe, paths: Sequence[Located]) -> Embedding:
    """Features of these weights, or HOG and colours."""
    if weights is None:
        return _embedding(Hog(2, recipe.size), f"hog {recipe.size}", recipe, paths)
    name = f"{weights.network} {weights.source} {weights.sha256}"
    return _embedding(weights.build(2, recipe.size), name, recipe, paths)


def _embedding(model: Model, name: str, recipe: Recipe, paths: Sequence[Located]) -> Embedding:
    plan = _plan(model, recipe, paths)
    width = embed(model, np.zeros((1, recipe.size, recipe.size, 3), dtype=np.uint8)).shape[1]
    way = embed if model.kind == Hog.kind else embed_once  # HOG takes no longer than looking it up
    return Embedding(
        f"{name} {plan.precision}", width, lambda pictures: way(model, pictures, plan), model.kind != Hog.kind
    )


def _plan(model: Model, recipe: Recipe, paths: Sequence[Located]) -> Plan:
    """The fastest plan, measured on some of the images, once: if it changed, no file would be known any more."""
    if len(paths) < WORTH_MEASURING:
        return Plan("cpu")
    shown = decode_files(paths[:: max(1, len(paths) // MEASURED_WITH)], recipe, keep=False).kept().images
    return measure_embedding(model, shown, count=len(paths)) if len(shown) else Plan("cpu")
