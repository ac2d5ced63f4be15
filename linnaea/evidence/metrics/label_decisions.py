"""Metrics of the labels that were answered; of an unreadable image no label is answered."""

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.metrics.contract import LABEL_METRICS, Function, Metric, Parts
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.scores import mean_of_defined, ratio


def f1_micro(scores: LabelScores, weights: Floats) -> Floats:
    """F1 of all decisions together, 0 to 1: common labels weigh most."""
    right, there, named = (counts.sum(axis=1) for counts in _counts(scores, weights))
    return ratio(2 * right, there + named)


def f1_macro(scores: LabelScores, weights: Floats) -> Floats:
    """The mean over labels of F1, 0 to 1; a label that is neither true nor answered of any image is left out."""
    return mean_of_defined(_f1(scores, weights))


def f1_samples(scores: LabelScores, weights: Floats) -> Floats:
    """The mean over images of the F1 of their labels, 0 to 1 (Zhang and Zhou 2014).

    1 where no label is true and none is answered, 0 for an unreadable image.
    """
    return _mean(_f1_of_images(scores), scores, weights)


def hamming_loss(scores: LabelScores, weights: Floats) -> Floats:
    """The share of all decisions, image by image and label by label, that are wrong, 0 to 1; lower is better."""
    wrong, known = scores.wrong.sum(axis=1), scores.known.sum(axis=1)
    return ratio(weights @ wrong.astype(np.float64), weights @ known.astype(np.float64))


def subset_accuracy(scores: LabelScores, weights: Floats) -> Floats:
    """The share of images with every label answered correctly, 0 to 1; none that is unreadable."""
    return _mean(scores.hits.astype(np.float64), scores, weights)


def _counts(scores: LabelScores, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """How often each label is true and answered, true, and answered: three arrays (B, K)."""
    there, named = (flags.astype(np.float64) for flags in (scores.there, scores.named))
    return weights @ (there * named), weights @ there, weights @ named


def _f1(scores: LabelScores, weights: Floats) -> Floats:
    right, there, named = _counts(scores, weights)
    return ratio(2 * right, there + named)


def _f1_of_images(scores: LabelScores) -> Floats:
    right = (scores.there & scores.named).sum(axis=1).astype(np.float64)
    whole = (scores.there.sum(axis=1) + scores.named.sum(axis=1)).astype(np.float64)
    return np.where(whole > 0, ratio(2 * right, whole), 1.0) * scores.readable


def _mean(values: Floats, scores: LabelScores, weights: Floats) -> Floats:
    counted: Flags = scores.counted
    return ratio(weights @ np.where(counted, values, 0.0), weights @ counted.astype(np.float64))


def _f1_parts(scores: LabelScores) -> tuple[Floats, Floats]:
    ones = np.ones((1, len(scores)))
    _, there, named = _counts(scores, ones)
    return _f1(scores, ones)[0], np.where(there > 0, there, named)[0]


def _whole(function: Function[LabelScores]) -> Parts[LabelScores]:
    """The figure as its only part, behind which all images are."""

    def parts(scores: LabelScores) -> tuple[Floats, Floats]:
        return function(scores, np.ones((1, len(scores)))), np.array([float(scores.counted.sum())])

    return parts


LABEL_METRICS.register(
    "f1_micro",
    title="Micro F1",
    meaning="Balance of precision and recall over all decisions; common labels weigh most.",
    order=80,
)(Metric(f1_micro, True, parts=_whole(f1_micro)))
LABEL_METRICS.register(
    "f1_macro",
    title="Macro F1",
    meaning="Balance of precision and recall, averaged over classes; 1 is perfect.",
    order=40,
)(Metric(f1_macro, True, parts=_f1_parts, enough=2))
LABEL_METRICS.register(
    "f1_samples",
    title="F1 per image",
    meaning="Balance of precision and recall of an image's labels, averaged over images.",
    order=90,
    detail=True,
)(Metric(f1_samples, True, parts=_whole(f1_samples)))
LABEL_METRICS.register(
    "hamming_loss",
    title="Hamming loss",
    meaning="Share of decisions, label by label, that are wrong.",
    order=100,
    share=True,
    detail=True,
)(Metric(hamming_loss, False, parts=_whole(hamming_loss)))
LABEL_METRICS.register(
    "subset_accuracy",
    title="All labels right",
    meaning="Share of images with every label answered correctly.",
    order=110,
    share=True,
)(Metric(subset_accuracy, True, flags=lambda scores: scores.hits))
