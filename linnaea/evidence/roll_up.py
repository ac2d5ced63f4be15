"""How sure a class or a group must be to be the answer, for a share of wrong answers that the user can bear."""

from dataclasses import dataclass

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.decisions import Policy, decide, stages_of
from linnaea.errors import UsageError
from linnaea.evidence.aims import MARGIN, ROUNDING
from linnaea.finding import Estimate, Finding
from linnaea.runtime.arguments import require_share
from linnaea.taxonomy import Taxonomy

RISK = 0.1
NEVER = 2.0  # what no probability reaches


@dataclass(frozen=True)
class RolledUp:
    """The threshold for a policy, the share of images that then get no answer but the root, and what is to be said."""

    threshold: float
    declined: float
    finding: Finding


def require_taxonomy(task: str, risk: float | None, unsure_rate: float | None = None) -> None:
    """Raise UsageError for a risk that is not a share, or for a task in which nothing rolls up.

    And for an unusual `unsure_rate` (None: the usual one) where the risk decides.
    """
    if task == "hierarchical" and unsure_rate is not None:
        raise UsageError(
            f"unsure_rate is {unsure_rate}, but with a taxonomy the risk decides how many answers are unsure: leave it "
            "out, and state the risk."
        )
    if risk is None:
        return
    require_share("risk", risk, RISK)
    if task != "hierarchical":
        raise UsageError(
            f"risk is {risk}, but the task is {task}: it bounds the wrong answers where classes lie below groups, as "
            "labels such as animal/dog or a taxonomy.csv define; leave it out."
        )


def fit_roll_up(
    probabilities: Floats, targets: Integers, tree: Taxonomy, risk: float, weights: Floats | None = None
) -> RolledUp:
    """The lowest threshold at which at most the share `risk` of images is expected to get a wrong answer.

    `probabilities` (N, K) are calibrated, of images that the model was not trained on; `targets` (N,) their classes;
    `weights` (N,) what each counts (None: 1). By conformal risk control (Angelopoulos et al. 2024): the expectation is
    over these images and a further one like them, whatever the model. Where no threshold does, none is ever reached.
    """
    counts = np.ones(len(targets)) if weights is None else weights.astype(np.float64)
    highest = highest_wrong(probabilities, targets, tree)
    order = np.argsort(-highest, kind="stable")
    allowed = (counts.sum() + counts.max(initial=1.0)) * risk - counts.max(initial=1.0) + ROUNDING
    beyond = np.flatnonzero(counts[order].cumsum() > allowed)
    threshold = NEVER if allowed < 0 else 0.0
    if allowed >= 0 and len(beyond):
        threshold = max(0.0, float(highest[order][beyond[0]]) + MARGIN)
    return _told(threshold, probabilities, targets, tree, risk, counts)


def highest_wrong(probabilities: Floats, targets: Integers, tree: Taxonomy) -> Floats:
    """The highest threshold at which each image may still be given a wrong answer (N,); -1 where it never is.

    An answer moves up as the threshold rises, and may become wrong on another branch; what counts is the last time it
    is wrong, which makes the loss fall with the threshold, as risk control asks.
    """
    highest = np.full(len(targets), -1.0)
    for stage in stages_of(tree.classes, probabilities, tree.parents):
        nodes = np.array([tree.index[name] for name in stage.names])[stage.places]
        wrong = tree.common_depths(nodes, targets) < tree.depths[nodes]
        highest = np.where(wrong, np.maximum(highest, stage.confidence), highest)
    return highest


def _told(
    threshold: float, probabilities: Floats, targets: Integers, tree: Taxonomy, risk: float, counts: Floats
) -> RolledUp:
    policy = Policy(thresholds=(threshold,), parents=tree.parents)
    labels = decide("hierarchical", tree.classes, probabilities, policy).labels
    nodes = np.array([tree.index[label] for label in labels], dtype=np.int64)
    total = counts.sum()
    share = {
        "class": float(counts[nodes < len(tree.classes)].sum() / total),
        "root": float(counts[tree.depths[nodes] == 0].sum() / total),
        "wrong": float(counts[tree.common_depths(nodes, targets) < tree.depths[nodes]].sum() / total),
    }
    figure = Estimate(share["wrong"], None, None, len(targets), "on the images it was fitted on")
    if threshold > 1:
        summary = (
            f"No threshold keeps the share of wrong answers at {risk:.0%}: {len(targets)} val images are too few, or "
            f"the model is confidently wrong too often. Every answer is {tree.root!r}; allow a higher risk or give "
            "more images."
        )
        return RolledUp(threshold, share["root"], Finding("roll_up", summary, "warning", len(targets), figure))
    summary = (
        f"A class or group is answered at a probability of {threshold:.3f} or more, for a risk of {risk:.0%}: on val "
        f"{share['class']:.1%} of the answers are classes, {1 - share['class'] - share['root']:.1%} groups, "
        f"{share['root']:.1%} only {tree.root!r}, and {share['wrong']:.1%} are wrong."
    )
    return RolledUp(threshold, share["root"], Finding("roll_up", summary, count=len(targets), figure=figure))
