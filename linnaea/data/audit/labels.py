"""Checks on labels: which ones are probably wrong, which images belong nowhere, by out-of-sample evidence."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.data.audit.contract import CHECKS, Inspection, warn_of
from linnaea.data.audit.label_noise import LabelNoise, label_noise, worth_a_look
from linnaea.data.duplicates.similarity import unit
from linnaea.finding import Finding
from linnaea.runtime.words import counted
from linnaea.statistics.shares import limits_of_share

NEIGHBOURS = 5
FAR = 5.0  # robust standard deviations above the median distance
MOST_REFERENCES = 4_000
SHORT = 100  # one label in so many is listed at most, where all may be right
WIDE = 0.1  # share of wrong labels that may be there although none is seen


@CHECKS.register("label_errors", title="Label errors", cost="seconds", order=60)
def label_errors(inspection: Inspection) -> Finding | None:
    """Labels that are more likely wrong than right by a classifier that never saw the image, the likeliest first.

    Fitted label noise says how many labels are wrong, with an interval, and how many of the list are expected to be.
    """
    if inspection.judge is None:
        unchecked = Finding("label_errors", f"Labels were not checked: {inspection.unjudged}.")
        return None if inspection.features is None else unchecked
    targets = inspection.dataset.targets
    noise = label_noise(inspection.judge, targets)
    if not noise.certain and (why := _blind(noise, inspection)):
        return Finding("label_errors", why, figure=noise.rate)
    rows = worth_a_look(noise.right)
    if not noise.certain:
        rows = rows[: max(1, len(targets) // SHORT) if (noise.rate.hi or 0.0) < WIDE else 0]
    if not len(rows):
        severity, said = ("warning", _share(noise)) if noise.certain else ("info", _nothing_said(noise, inspection))
        return Finding("label_errors", said, severity=severity, figure=noise.rate)
    looks = [inspection.dataset.classes[index] for index in noise.looks_like[rows].tolist()]
    table = inspection.rows(rows.tolist(), suggestion=looks, score=noise.right[rows].round(4).tolist())
    found = warn_of("label_errors", _listed(noise, rows, table[0]), table, noise.rate)
    return found if noise.certain else replace(found, severity="info")


def _listed(noise: LabelNoise, rows: Integers, first: Mapping[str, Any]) -> str:
    wrong = float(noise.wrong[rows].sum())
    expected = (
        f"expect about {_number(wrong)} of them to be wrong and {_number(len(rows) - wrong)} correct (false alarms)."
    )
    return (
        f"{counted(len(rows), 'label')} of {len(noise.right)} to check: "
        f"{expected if noise.certain else 'all of them may be correct (false alarms).'} {_share(noise)} The first, "
        f"{first['path']}, is labelled {first['label']!r} and looks like {first['suggestion']!r}."
    )


def _share(noise: LabelNoise) -> str:
    rate = noise.rate
    if not noise.certain:
        return f"All labels may be right; at most {rate.hi:.1%} are wrong (95% interval)."
    return f"About {rate.value:.1%} of all labels seem to be wrong (95% interval: {rate.lo:.1%} to {rate.hi:.1%})."


def _number(count: float) -> str:
    return f"{count:.0f}" if count >= 10 else f"{count:.1f}"


def _better_eyes(inspection: Inspection) -> str:
    return "Other pretrained weights may see more" if inspection.pretrained else "Pretrained weights see more"


def _blind(noise: LabelNoise, inspection: Inspection) -> str:
    """That the judge agrees with the labels no more often than by chance; empty where it does."""
    targets = inspection.dataset.targets
    largest = np.bincount(targets).max() / len(targets)
    if limits_of_share(noise.agreed * len(targets), len(targets))[0] > largest:
        return ""
    return (
        f"Labels could not be checked: the audit's own classifier agrees with {noise.agreed:.0%} of them, hardly more "
        f"than if it always named the largest class ({largest:.0%}). Either the labels do not match "
        f"the images, or it sees too little. {_better_eyes(inspection)}: --weights."
    )


def _nothing_said(noise: LabelNoise, inspection: Inspection) -> str:
    """That no label is listed, as all of them may be right."""
    if (noise.rate.hi or 0.0) < WIDE:
        return f"No label looks wrong. {_share(noise)}"
    return (
        f"No label to check, but up to {noise.rate.hi:.0%} of them may be wrong (95% interval): the audit's own "
        f"classifier, which agrees with {noise.agreed:.0%} of them, cannot tell wrong labels from classes that look "
        f"alike. {_better_eyes(inspection)}: --weights."
    )


@CHECKS.register("outliers", title="Outliers", cost="seconds", order=70)
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
    said = f"{len(rows)} of {len(distance)} images are unlike all others; first {table[0]['path']}."
    return warn_of("outliers", said, table)


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
