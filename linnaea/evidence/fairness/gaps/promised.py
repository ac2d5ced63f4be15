"""Gaps in what the answers promise: what confidence means in each group, and whether sets hold the truth."""

import numpy as np
import pyarrow as pa

from linnaea.evidence.fairness.gaps.contract import GAPS, Rate
from linnaea.evidence.fairness.gaps.facts import Facts


@GAPS.register(
    "calibration_difference",
    title="Calibration within groups",
    meaning="Mean confidence less the share of right answers: above 0 it is too sure (Kleinberg et al. 2017).",
    order=50,
)
def calibration(facts: Facts) -> list[Rate]:
    """How far confidence lies above what comes true, on the readable images."""
    used = facts.counted & facts.scores.readable
    return [Rate(np.where(used, facts.confidence - facts.came_true, 0.0), used, what="too sure")]


@GAPS.register(
    "coverage_difference",
    title="Coverage of the prediction set",
    meaning="Share of images whose prediction set holds the truth.",
    order=60,
    tasks=("binary", "multiclass", "hierarchical"),
)
def coverage(facts: Facts) -> list[Rate]:
    """How often the set holds the truth, of the images that have one; none where none has."""
    predictions = facts.predictions
    if not predictions.has("prediction_set") or pa.types.is_null(predictions.table.schema.field("prediction_set").type):
        return []
    sets, truth = predictions.column("prediction_set"), predictions.column("truth")
    given = np.array([members is not None for members in sets], dtype=bool)
    holds = np.array([members is not None and own in members for members, own in zip(sets, truth, strict=True)])
    return [Rate(holds.astype(np.float64), given, what="truth in the set")] if given.any() else []


@GAPS.register(
    "answered_difference",
    title="Share answered",
    meaning="Share of images that are answered, not declined as unsure, unfamiliar or unreadable.",
    order=70,
)
def answered(facts: Facts) -> list[Rate]:
    """How often the reason of an answer is ok."""
    flags = facts.predictions.answered("ok")
    return [Rate(flags.astype(np.float64), np.ones(len(facts), dtype=bool), what="answered")]
