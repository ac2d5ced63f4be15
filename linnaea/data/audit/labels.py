"""Checks on labels: which ones are probably wrong, which pictures belong nowhere, by out-of-sample evidence."""

import numpy as np
import numpy.typing as npt

from linnaea.data.audit.contract import CHECKS, Inspection, warn_of
from linnaea.data.similarity import unit
from linnaea.finding import Estimate, Finding, wilson

Floats = npt.NDArray[np.floating]
Targets = npt.NDArray[np.int64]
NEIGHBOURS = 5
FAR = 5.0  # robust standard deviations above the median distance
MOST_REFERENCES = 4_000
TRUSTED = 0.5  # share of planted errors in a list of suspicious labels that is worth a person's time
FEWEST_NOTICED = 2


@CHECKS.register("label_errors")
def label_errors(inspection: Inspection) -> Finding | None:
    """Images whose label a classifier that never saw them denies, the most suspicious first.

    How suspicious a label must be is decided by a trial: labels are made wrong on purpose, and the list goes as far
    down as at least half of what it names would be such errors.
    """
    if inspection.probabilities is None or inspection.trial is None:
        said = Finding("label_errors", f"Labels were not checked: {inspection.unjudged}.")
        return None if inspection.features is None else said
    trial, targets, probabilities = inspection.trial, inspection.dataset.targets, inspection.probabilities
    tried = label_quality(trial.targets, trial.probabilities)
    cut = trusted_quality(tried, trial.planted)
    right = float((probabilities.argmax(axis=1) == targets).mean())
    planted = int(trial.planted.sum())
    if cut is None:
        return Finding(
            "label_errors",
            f"Labels could not be checked: the audit's own classifier is right in {right:.0%} of images, too seldom to "
            f"tell {planted} labels made wrong on purpose from the others. Pretrained weights see more (--weights).",
            count=0,
        )
    quality = label_quality(targets, probabilities)
    denied = (probabilities.argmax(axis=1) != targets) & (quality <= cut)
    rows = np.flatnonzero(denied & (trial.planted | (tried <= cut)))
    noticed = trial.planted & (tried <= cut) & (trial.probabilities.argmax(axis=1) != trial.targets)
    found = int(noticed.sum())
    figure = Estimate(found / planted, *wilson(found, planted), planted, "Wilson")
    told = f"of labels made wrong on purpose {figure.value:.0%} would be in this list"
    if not len(rows):
        return Finding("label_errors", f"No label looks wrong; {told}.", figure=figure)
    rows = rows[np.argsort(quality[rows], kind="stable")]
    better = [inspection.dataset.classes[index] for index in probabilities[rows].argmax(axis=1).tolist()]
    table = inspection.rows(rows.tolist(), suggestion=better, score=quality[rows].round(4).tolist())
    return warn_of(
        "label_errors",
        f"{len(rows)} of {len(targets)} labels look wrong ({len(rows) / len(targets):.1%}): first "
        f"{table[0]['path']}, labelled {table[0]['label']!r}, looks like {table[0]['suggestion']!r}; {told}.",
        table,
        figure,
    )


@CHECKS.register("outliers")
def outliers(inspection: Inspection) -> Finding | None:
    """Images that lie far from every other one: strangers, broken crops, another subject."""
    if inspection.features is None:
        return None
    distance = neighbour_distance(inspection.features)
    middle = np.median(distance)
    spread = 1.4826 * np.median(np.abs(distance - middle)) + 1e-9
    rows = np.flatnonzero(distance > middle + FAR * spread)
    if not len(rows):
        return None
    rows = rows[np.argsort(-distance[rows], kind="stable")]
    score = ((distance[rows] - middle) / spread).round(2).tolist()
    table = inspection.rows(rows.tolist(), score=score)
    said = f"{len(rows)} of {len(distance)} pictures are like no other one: first {table[0]['path']}."
    return warn_of("outliers", said, table)


def trusted_quality(quality: Floats, planted: npt.NDArray[np.bool_]) -> float | None:
    """The highest quality up to which at least half of the images (N,) are planted errors; None where there is none."""
    order = np.argsort(quality, kind="stable")
    share = np.cumsum(planted[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero((share >= TRUSTED) & planted[order])
    return float(quality[order][enough[-1]]) if len(enough) and enough[-1] >= FEWEST_NOTICED else None


def label_quality(targets: Targets, probabilities: Floats) -> Floats:
    """The normalised margin of each label (N,), 0 (surely wrong) to 1: Northcutt et al. 2021, "Confident learning"."""
    given = probabilities[np.arange(len(targets)), targets]
    others = probabilities.copy()
    others[np.arange(len(targets)), targets] = -np.inf
    return np.asarray((given - others.max(axis=1) + 1) / 2)


def neighbour_distance(features: Floats) -> Floats:
    """The mean distance (N,) of each image to its five nearest among at most 4,000 others, features standardised."""
    import torch

    centred = unit((features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6))
    chosen = np.sort(np.random.default_rng(0).permutation(len(centred))[:MOST_REFERENCES])
    references = torch.from_numpy(centred[chosen])
    found = np.empty(len(centred), dtype=np.float32)
    for start in range(0, len(centred), 1024):
        similarity = torch.from_numpy(centred[start : start + 1024]) @ references.T
        itself = np.flatnonzero(np.isin(chosen, np.arange(start, start + len(similarity))))
        similarity[chosen[itself] - start, itself] = -2.0
        nearest = similarity.topk(min(NEIGHBOURS, max(1, len(chosen) - 1)), dim=1).values
        found[start : start + 1024] = (2 - 2 * nearest).clamp(min=0).sqrt().mean(dim=1).numpy()
    return found
