"""How each familiarity score is fitted to the features of training images."""

import numpy as np
import torch

from linnaea.arrays import Floats
from linnaea.evidence.openset.contract import FITS, Fit, Known, fill, principal
from linnaea.models.familiarity import Familiarity
from linnaea.models.familiarity.blended import Blend
from linnaea.models.familiarity.by_features import Discriminant, Knn, Mahalanobis
from linnaea.models.familiarity.by_logits import Energy, MaxLogit, MaxSoftmax, TemperedSoftmax
from linnaea.models.familiarity.combined import React, RelativeEnergy, Vim

RANK = 64
SHRINKAGE_OF_DISTANCE, SHRINKAGE_OF_DISCRIMINANT = 0.05, 0.3
CUT_OFF = 0.9
NEAREST = 0.05
NEIGHBOURS = 5
MOST_EXAMPLES = 5_000
WEIGHTS = {"relative_energy": 1.0, "discriminant": 1.0, "mahalanobis": 0.5}


def fit_max_softmax(known: Known) -> Familiarity:
    """Nothing is fitted."""
    return MaxSoftmax()


def fit_tempered_softmax(known: Known) -> Familiarity:
    """Nothing is fitted: the temperature is that of the paper."""
    return TemperedSoftmax()


def fit_max_logit(known: Known) -> Familiarity:
    """Nothing is fitted."""
    return MaxLogit()


def fit_energy(known: Known) -> Familiarity:
    """Nothing is fitted."""
    return Energy(known.several)


def fit_react(known: Known) -> Familiarity:
    """The limit is what nine tenths of all features of training do not exceed."""
    classes, length = known.weight.shape
    return fill(React(classes, length, known.several), limit=np.quantile(known.features, CUT_OFF), weight=known.weight)


def fit_relative_energy(known: Known) -> Familiarity:
    """Mean and spread of each feature; the nearest is what 95 of 100 images of training lie beyond."""
    mean, spread = known.features.mean(axis=0), known.features.std(axis=0)
    score = RelativeEnergy(known.features.shape[1], known.several)
    fill(score, mean=mean, inverse=np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0))
    distances = score.distance(torch.from_numpy(np.asarray(known.features, dtype=np.float32))).numpy()
    return fill(score, nearest=max(float(np.quantile(distances, NEAREST)), 1e-3))


def fit_mahalanobis(known: Known) -> Familiarity:
    """Class means and a common covariance of features at unit length.

    The covariance keeps at most 64 directions, with a twentieth of the mean variance added to each, so that few
    images in many dimensions do not make it singular. Several labels make no classes: one mean stands for all.
    """
    variances, directions = known.within
    length = known.features.shape[1]
    rank = min(rank_for(known.features), len(variances))
    floor = SHRINKAGE_OF_DISTANCE * variances.sum() / length + 1e-12
    rest = variances[rank:].sum() / max(1, length - rank) + floor
    return fill(
        Mahalanobis(len(known.means), length, rank),
        directions=directions[:rank],
        precisions=1 / (variances[:rank] + floor),
        residual_precision=1 / rest,
        centre=known.centre,
        means=known.means - known.centre,
    )


def fit_discriminant(known: Known) -> Familiarity:
    """Class means against the mean of all, by a common covariance that is shrunk by three tenths (Friedman 1989)."""
    variances, directions = known.within
    kept = (1 - SHRINKAGE_OF_DISCRIMINANT) * variances
    floor = SHRINKAGE_OF_DISCRIMINANT * variances.sum() / known.features.shape[1] + 1e-12
    apart = known.means - known.centre
    inverse = apart @ directions.T * (1 / (kept + floor) - 1 / floor) @ directions + apart / floor
    bias = -0.5 * (inverse * apart).sum(axis=1)
    return fill(Discriminant(*known.means.shape), centre=known.centre, weight=inverse, bias=bias)


def fit_knn(known: Known) -> Familiarity:
    """At most 5,000 images of training are kept, drawn at random; the fifth nearest counts."""
    rows = np.arange(len(known.unit))
    if len(rows) > MOST_EXAMPLES:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_EXAMPLES])
    return fill(Knn(len(rows), known.unit.shape[1], min(NEIGHBOURS, len(rows))), examples=known.unit[rows])


def fit_vim(known: Known) -> Familiarity:
    """The principal space of training about the origin of the head, and the scale at which both parts weigh alike."""
    origin = -np.linalg.pinv(known.weight.astype(np.float64)) @ known.bias
    centred = known.features - origin
    _, directions = principal(centred)
    directions = directions[: rank_for(known.features)]
    outside = np.linalg.norm(centred - centred @ directions.T @ directions, axis=1).mean()
    scale = np.abs(known.logits.max(axis=1).mean()) / max(float(outside), 1e-12)
    return fill(Vim(known.features.shape[1], len(directions)), origin=origin, directions=directions, scale=scale)


def fit_blend(known: Known) -> Familiarity:
    """The parts, their mean and spread over known images that nothing was trained on, and a spread less as floor."""
    names = [name for name in WEIGHTS if FITS[name].several or not known.several]
    parts = [FITS[name].make(known) for name in names]
    blend = Blend([part.describe() for part in parts])
    for own, part in zip(blend.parts, parts, strict=True):
        own.load_state_dict(part.state_dict())
    scores = np.stack([part(*known.tensors()).numpy() for part in parts], axis=1).astype(np.float64)
    weights = np.array([WEIGHTS[name] for name in names])
    scales = weights / np.maximum(scores.std(axis=0), 1e-6)
    return fill(blend, centres=scores.mean(axis=0), scales=scales, floors=-weights)


def rank_for(features: Floats) -> int:
    """How many principal directions (N, D) features are worth: at most 64, and half of what they could span."""
    count, length = features.shape
    return int(max(1, min(RANK, (count - 1) // 2, length // 2)))


FITS.register("max_softmax")(Fit(fit_max_softmax, several=False))
FITS.register("tempered_softmax")(Fit(fit_tempered_softmax, several=False))
FITS.register("max_logit")(Fit(fit_max_logit))
FITS.register("energy")(Fit(fit_energy))
FITS.register("react")(Fit(fit_react))
FITS.register("relative_energy")(Fit(fit_relative_energy))
FITS.register("discriminant")(Fit(fit_discriminant, several=False))
FITS.register("mahalanobis")(Fit(fit_mahalanobis))
FITS.register("vim")(Fit(fit_vim, several=False))
FITS.register("knn")(Fit(fit_knn))
FITS.register("blend")(Fit(fit_blend))
