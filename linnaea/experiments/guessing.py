"""Whether what was chosen is better than guessing, which costs nothing: the same answer for every image."""

import math

import numpy as np

from linnaea.arrays import Float32
from linnaea.classifier import Classifier, known_columns
from linnaea.dataset import Dataset
from linnaea.decisions import Policy
from linnaea.evidence.comparison.two import Comparison, compare
from linnaea.experiments.attempt import Attempted, Material, attempt
from linnaea.finding import Finding
from linnaea.learning.rungs import RUNGS, Options, Step
from linnaea.predictions import Predictions

NAME, RUNG = "guessing", "majority"


def guessed(material: Material) -> Attempted:
    """The guess, made of how often each class was seen in training, and its answers on val."""
    return attempt(Step(RUNG, RUNGS[RUNG]), material, material.job(Options(), math.inf))


def against_guessing(guess: Predictions, answers: Predictions, name: str, split: str) -> Finding | None:
    """Whether the answers of `name` are better than the guess on the same images, by the paired test or its interval.

    A warning where that is not shown; None where the metric is not defined on these images.
    """
    result = compare(guess, answers, (NAME, name), only_verdict=True)
    if None in result.values[result.metric]:
        return None
    verdict = {NAME: "is worse than", name: "is better than"}.get(result.better or "", "is not shown to be better than")
    return Finding(
        NAME,
        f"{name} {verdict} guessing on {split}: {_figures(result, answers)}.",
        severity="info" if result.better == name else "warning",
        count=result.n,
        figure=result.differences[result.metric],
        rows=[{"split": split, "chosen": name, "p_value": result.p_value, "test": result.test}],
    )


def _figures(result: Comparison, answers: Predictions) -> str:
    theirs, own = result.values[result.metric]
    how = "the same answer for every image" if answers.rules.multilabel else "always answering the most frequent class"
    images = f"{'of' if result.metric == 'accuracy' else 'on'} {result.n:,} images"
    return f"{result.metric} {own:.1%} against {theirs:.1%} for {how}, {images}"


def plain_answers(classifier: Classifier, features: Float32, images: Dataset) -> Predictions:
    """What it says of these images by the likelier class or label, as rungs are compared, not by a threshold."""
    plain = classifier.with_(policy=Policy(parents=classifier.policy.parents))
    return plain.answer(plain.score_features(features), known_columns(images), [None] * len(images))


def guess_answers(guess: Attempted, images: Dataset) -> Predictions:
    """What the guess says of these images, none of which it has to look at: its features are a zero for each."""
    return plain_answers(guess.finished, np.zeros((len(images), 1), dtype=np.float32), images)
