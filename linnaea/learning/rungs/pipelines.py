"""The rung of every classical pipeline: features are computed once, heads fitted to them, and one chosen on val."""

import time
from collections.abc import Iterable
from functools import partial

import numpy as np
import torch

from linnaea.arrays import Float32, in_colours
from linnaea.errors import UsageError
from linnaea.learning.heads import EQUAL
from linnaea.learning.job import Features, Fitted, Job
from linnaea.learning.losses.binary_cross_entropy import binary_cross_entropy
from linnaea.learning.losses.cross_entropy import cross_entropy
from linnaea.learning.pipeline_names import PipelineName
from linnaea.learning.rungs.contract import Rung
from linnaea.learning.temperature import best_factor
from linnaea.models.classical import ENCODINGS, FEATURES, HEADS, Head, Samples
from linnaea.models.classical.pipeline import Classical, described
from linnaea.models.embedding import embed
from linnaea.models.feature_cache import embed_until
from linnaea.runtime.arguments import COLOUR
from linnaea.runtime.plan import Plan

VOCABULARY_IMAGES = 1_000  # that an encoding is learnt from, at the most
WEIGHED = ("draws", "weights", "features", "pictures")
UNWEIGHED = ("features", "pictures")


def rung_of(name: PipelineName, size: int = 32) -> Rung:
    """The rung that fits a pipeline; raises MissingExtraError where a library that it needs is not installed."""
    FEATURES[name.feature](size)
    balances = WEIGHED if HEADS[name.head].weighs else UNWEIGHED
    return Rung(partial(fit_pipeline, name), pretrained=None, balances=balances, losses=False)


def fit_pipeline(name: PipelineName, job: Job) -> Fitted:
    """The encoding, where there is one, learnt from some training images, then the best of the heads on val."""
    if job.options.loss is not None:
        raise UsageError(f"{name.head} learns by a loss of its own, and {job.options.loss!r} was given: leave it out.")
    kind = HEADS[name.head]
    key = f"{name.encoding} {name.feature} {min(kind.most, len(job.train))} {job.options.seed}"
    again = key in job.features
    if not again:
        job.features[key] = _features(name, job, kind.most)
    found = job.features[key]
    assert isinstance(found.model, Classical), "a pipeline made them"
    few, all_of_them = (_samples(job, part) for part in (found.subset(kind.compared_on, job.options.seed), found))
    words, head, tried = _best(kind.candidates(few), found.val, job)
    if len(found.train) > kind.compared_on and time.monotonic() < job.deadline:
        head = kind.again(all_of_them, head).eval()
    notes = [f"{words}, chosen on val." if tried > 1 else f"{words}.", *job.balance.notes]
    if again:
        notes.append("The features are those of the pipeline before it, whose time is not counted again.")
    known = len(found.train)
    if known < len(job.train):
        notes.append(f"It was fitted on {known:,} of {len(job.train):,} training images, drawn at random.")
    whole = found.train if known == len(job.train) else None
    return Fitted(found.model.answering_by(head), notes=notes, features=whole, val_features=found.val)


def _features(name: PipelineName, job: Job, most: int) -> Features:
    """Of at most so many training images, and of all val images."""
    model, train = _described(name, job), job.subset(most)
    val = embed(model, job.val.images)
    found = embed_until(job.deadline_to_embed, model, train.images, once=False, seed=job.options.seed)
    groups = None if train.groups is None else train.groups[found.rows]
    return Features(found.features, train.targets[found.rows], val, Plan("cpu"), model=model, groups=groups)


def _described(name: PipelineName, job: Job) -> Classical:
    """The pipeline as far as its features: without a head."""
    if job.channels > COLOUR:
        raise UsageError(
            f"{name.feature} reads grey or colours, and these images have {job.channels} channels: name a network, or "
            "hog alone."
        )
    if name.encoding is None:
        return Classical(job.classes, job.size, name.feature, channels=job.channels)
    dense = FEATURES[name.feature](job.size, dense=True)
    kind, seed = ENCODINGS[name.encoding], job.options.seed
    pixels = np.asarray(job.subset(VOCABULARY_IMAGES).images)
    encoding = kind.fit(described(dense, in_colours(pixels)), seed)
    return Classical(job.classes, job.size, name.feature, channels=job.channels).encoded_by(encoding.eval())


def _samples(job: Job, found: Features) -> Samples:
    features, targets, weights = job.balance.for_head(found.train, found.targets, job.options.seed, found.groups)
    return Samples(np.asarray(features, dtype=np.float32), targets, job.classes, weights, job.options.seed)


@torch.no_grad()
def _best(candidates: Iterable[tuple[str, Head]], val: Float32, job: Job) -> tuple[str, Head, int]:
    """The words and the head with the lowest loss on val at its best temperature, and how many were tried.

    Of those as good to a thousandth it is the first, which is the simplest; after the deadline no further one is begun.
    """
    loss = binary_cross_entropy if job.task.multilabel else cross_entropy
    features, weights = torch.from_numpy(val), job.balance.on_val(job.val.targets, job.val.groups)
    tried: list[tuple[float, str, Head]] = []
    for words, head in candidates:
        scores = head(features)
        tried.append((best_factor(loss, scores, job.val.targets, weights=weights)[1], words, head))
        if time.monotonic() > job.deadline:
            break
    lowest = min(value for value, _, _ in tried)
    _, words, head = next(entry for entry in tried if entry[0] <= lowest + EQUAL)
    return words, head.eval(), len(tried)
