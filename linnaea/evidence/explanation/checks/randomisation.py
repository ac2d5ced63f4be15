"""The sanity check: a map that stays the same when what was learnt is taken away does not show what was learnt."""

from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.explanation.checks.contract import (
    EXPLANATION_CHECKS,
    FAILED,
    NOT_DONE,
    OPEN,
    PASSED,
    Checked,
    Explained,
    Rows,
    Unlearnt,
    Verdict,
    judged,
    rounded,
)
from linnaea.evidence.explanation.checks.means import BOTH_SIGNS, above, mean_of
from linnaea.evidence.explanation.checks.similarity import rank_correlation, structure
from linnaea.finding import Estimate

ALIKE = 0.5
STILL_ANSWERING = 0.9  # of the probability of the class explained: nothing was taken away that mattered
WORDS = {
    PASSED: "the maps become others, as they should",
    FAILED: "the maps stay nearly the same, so that they show the image, and not what was learnt",
    OPEN: "not decided by so few images",
    NOT_DONE: "not done",
}


@EXPLANATION_CHECKS.register(
    "randomisation",
    title="Randomisation",
    meaning="Takes away what was learnt, layer by layer, and looks whether the map changes (Adebayo et al. 2018).",
    cost="minutes",
    order=1,
    sanity=True,
    remakes=2,
)
def randomisation(explained: Explained) -> Checked | None:
    """How alike maps are before and after weights are put in random order, from the last layer backwards.

    A method fails where Spearman's correlation of the pixels' absolute values, at any stage that the answers do not
    survive, lies above 0.5 with its whole interval. The structural similarity is told as well, but decides nothing: of
    maps that are nearly 0 nearly everywhere it is high even between different images.
    """
    rows: Rows = []
    verdicts: dict[str, Verdict] = {}
    measured: dict[str, Floats] = {}
    for method, maps in explained.maps.items():
        stages = explained.unlearnt(method)
        if isinstance(stages, str):
            verdicts[method] = Verdict(NOT_DONE, stages)
            rows.append({"method": method, "outcome": NOT_DONE, "why": stages})
            continue
        told, first = [], len(rows)
        for stage in stages:
            left = _left(explained, stage)
            row, alike, figures = _at_stage(explained, method, maps, stage)
            rows.append(row | {"of_probability_left": rounded(left)})
            told.append((stage, left, alike))
            measured |= {f"randomisation/{method}/{stage.how}/{name}": values for name, values in figures.items()}
        verdicts[method] = _verdict(told)
        rows[first:] = [row | {"outcome": verdicts[method].outcome} for row in rows[first:]]
    lead = "What was learnt is taken away."
    finding = judged("randomisation", lead, WORDS, verdicts, rows, len(explained.images))
    return Checked(finding, verdicts, measured)


def _at_stage(
    explained: Explained, method: str, maps: Floats, stage: Unlearnt
) -> tuple[dict[str, Any], Estimate, dict[str, Floats]]:
    before, after = np.abs(maps), np.abs(stage.remake(method, explained.images, explained.seed))
    ranks, shapes = rank_correlation(before, after), structure(before, after)
    rank, shape = mean_of(ranks, BOTH_SIGNS), mean_of(shapes, BOTH_SIGNS)
    row = {
        "method": method,
        "taken_away": stage.how,
        "rank_correlation": rounded(rank.value),
        "lo": rounded(rank.lo),
        "hi": rounded(rank.hi),
        "structural_similarity": rounded(shape.value),
        "n": rank.n,
    }
    return row, rank, {"rank_correlation": ranks, "structural_similarity": shapes}


def _left(explained: Explained, stage: Unlearnt) -> float | None:
    """The mean probability of the class explained, as a share of what it was; None where answers are at random."""
    if stage.answer is None:
        return None
    rows = np.arange(len(explained.targets)), explained.targets
    before, after = (float(answer(explained.images)[rows].mean()) for answer in (explained.answer, stage.answer))
    return after / max(before, 1e-12)


def _gravity(alike: Estimate) -> int:
    """2 where maps surely stay alike, 1 where that is open, 0 where they surely do not, -1 where nothing is known."""
    return -1 if alike.value is None else {True: 2, None: 1, False: 0}[above(alike, ALIKE)]


def _verdict(told: list[tuple[Unlearnt, float | None, Estimate]]) -> Verdict:
    """The worst of the stages that the answers do not survive: one that surely fails before one that may."""
    lost = [(stage, alike) for stage, left, alike in told if left is None or left < STILL_ANSWERING]
    if not lost:
        return Verdict(NOT_DONE, "the answers survive that what was learnt is taken away")
    stage, worst = max(lost, key=lambda one: (_gravity(one[1]), -2.0 if one[1].value is None else one[1].value))
    if worst.value is None:
        return Verdict(NOT_DONE, worst.method)
    over = above(worst, ALIKE)
    reason = f"rank correlation {worst} over {worst.n} images without {stage.how}"
    return Verdict.of(None if over is None else not over, reason)
