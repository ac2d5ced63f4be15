"""Calibration: probabilities that mean something, sets that cover, and thresholds with a stated rejection rate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from linnaea.arrays import Floats, Integers, Targets
from linnaea.decisions import OF_EACH_CLASS, Outputs, Policy, decide
from linnaea.errors import DataError
from linnaea.evidence.aims import MARGIN, Goal
from linnaea.evidence.calibrator_choice import USUAL, as_of_new_images, choose_calibrator
from linnaea.evidence.conformal import SET_METHODS, SetMaterial, require_sets, usual_sets
from linnaea.evidence.conformal.contract import ROUNDING, fewest_for
from linnaea.evidence.roll_up import RISK, fit_roll_up, require_taxonomy
from linnaea.evidence.thresholds import TASKS_WITH_THRESHOLDS, fit_thresholds, require_thresholds
from linnaea.finding import Finding
from linnaea.runtime.arguments import require_share
from linnaea.task import TASKS

if TYPE_CHECKING:
    from linnaea.classifier import Classifier  # which imports torch; predictions are judged without

WITHOUT_SETS: dict[str, Any] = {"set_threshold": 0.0, "set_thresholds": (), "set_penalty": 0.0, "set_free": 0}


@dataclass(frozen=True)
class Aims:
    """What the policy is asked for: coverage of the sets, and the shares of known images to reject; all in (0, 1).

    `aim` says what thresholds are chosen for, such as "recall=0.95" (see `linnaea.evidence.aims`); None for what is
    usual for the task. `risk` is the share of wrong answers that groups of classes are answered for, in place of the
    `unsure_rate` (None: 0.1 where there are groups). `sets` names the method of the prediction sets (None: lac or, of
    several labels, risk). `calibrator` is the name of one, or auto, by which it is chosen on
    the images that are calibrated on.
    """

    coverage: float = 0.9
    unsure_rate: float = 0.05
    unfamiliar_rate: float = 0.05
    aim: str | None = None
    risk: float | None = None
    calibrator: str = USUAL
    sets: str | None = None

    def __post_init__(self) -> None:
        for name, usual in {"coverage": 0.9, "unsure_rate": 0.05, "unfamiliar_rate": 0.05}.items():
            require_share(name, getattr(self, name), usual)
        if self.aim is not None:
            Goal.parse(self.aim)


def calibrate(classifier: "Classifier", outputs: Outputs, targets: Targets, aims: Aims | None = None) -> "Classifier":
    """Fit the calibrator, then the policy, on images that the model was not trained on.

    `outputs` are what `classifier.score` said of N images, `targets` the truth: (N,) indices, or (N, K) of 0, 1 and NaN
    for several labels. Returns a new classifier. Raises UsageError for an aim that no threshold reaches, or that the
    task has no use for, and for a calibrator that is not for it.
    """
    return calibrate_with_findings(classifier, outputs, targets, aims)[0]


def calibrate_with_findings(
    classifier: "Classifier",
    outputs: Outputs,
    targets: Targets,
    aims: Aims | None = None,
    units: Integers | None = None,
) -> "tuple[Classifier, list[Finding]]":
    """The same, and what is to be said of the calibrator and the thresholds.

    `units` (N,) number the groups of images that are not independent, by which calibrators are compared. The policy is
    fitted to probabilities by calibrators that do not know the image, where they have more than one number.
    """
    import torch

    aims = aims or Aims()
    unsound = int((~outputs.defined).sum())
    if unsound:
        raise DataError(
            f"the model's output for {unsound} of {len(targets)} validation images is not a number: it cannot be "
            "calibrated. Train with a lower learning rate, or choose another model."
        )
    raw = np.asarray(outputs.raw, dtype=np.float64)
    calibrator, choice = choose_calibrator(raw, targets, aims.calibrator, units)
    probabilities = TASKS[classifier.task].probabilities
    prior = tuple(float(share) for share in probabilities(calibrator(torch.from_numpy(raw)).numpy()).mean(axis=0))
    unseen = probabilities(as_of_new_images(calibrator, raw, targets, units))
    policy, findings = fit_policy(classifier, unseen, outputs.ood_scores, targets, aims)
    return classifier.with_(calibrator=calibrator, prior=prior, prior_shift=(), policy=policy), [choice, *findings]


def fit_policy(
    classifier: "Classifier",
    probabilities: Floats,
    scores: Floats | None,
    targets: Targets,
    aims: Aims,
    weights: Floats | None = None,
) -> tuple[Policy, list[Finding]]:
    """The policy for calibrated probabilities (N, K) and OOD scores (N,), and what is to be said of its thresholds.

    `weights` (K,) are what an image of each class counts, where images are to be met in other shares than here.
    """
    task = TASKS[classifier.task]
    require_thresholds(classifier.task, aims.aim)
    require_taxonomy(classifier.task, aims.risk, aims.unsure_rate if aims.unsure_rate != Aims.unsure_rate else None)
    require_sets(aims.sets, several=task.multilabel)
    method = aims.sets or usual_sets(several=task.multilabel)
    held = SET_METHODS[method](SetMaterial(probabilities, targets, aims.coverage, weights))
    policy = replace(classifier.policy, thresholds=(), aim="", coverage=aims.coverage, **{**WITHOUT_SETS, **held})
    policy, findings = without_groups(policy, len(targets))
    findings += unlimited_classes(policy, classifier.classes, targets)
    if classifier.task in TASKS_WITH_THRESHOLDS:
        counted = (1.0, 1.0) if weights is None else (float(weights[0]), float(weights[1]))
        fitted = fit_thresholds(probabilities, targets, aims.aim, classes=classifier.classes, weights=counted)
        policy = replace(policy, thresholds=fitted.thresholds, aim=fitted.aim)
        findings += fitted.findings
    of_images = None if weights is None else weights[targets]
    policy, told = _unsure_below(classifier, policy, probabilities, targets, aims, of_images)
    strange = None
    if scores is not None:
        strange = rejection_threshold(scores, aims.unfamiliar_rate, of_images)
        strange += MARGIN * abs(strange)
    policy = replace(policy, unfamiliar_rate=aims.unfamiliar_rate, ood_threshold=strange, n=len(targets))
    return policy, [*findings, *told]


def _unsure_below(
    classifier: "Classifier",
    policy: Policy,
    probabilities: Floats,
    targets: Targets,
    aims: Aims,
    of_images: Floats | None,
) -> tuple[Policy, list[Finding]]:
    """The policy with the confidence below which an answer is unsure or, in a tree, gives way to a group.

    `of_images` (N,) are what images count.
    """
    if not TASKS[classifier.task].hierarchical:
        confidence = decide(classifier.task, classifier.classes, probabilities, policy).confidence
        least = least_confidence(confidence, aims.unsure_rate, of_images)
        return replace(policy, unsure_rate=aims.unsure_rate, confidence_threshold=least), []
    risk = RISK if aims.risk is None else aims.risk
    rolled = fit_roll_up(probabilities, targets, classifier.taxonomy, risk, of_images)
    policy = replace(policy, thresholds=(rolled.threshold,), risk=risk)
    return replace(policy, confidence_threshold=rolled.threshold, unsure_rate=rolled.declined), [rolled.finding]


def without_groups(policy: Policy, images: int) -> tuple[Policy, list[Finding]]:
    """The policy without thresholds for groups, which were fitted to other probabilities, and that this is so."""
    if not policy.group_thresholds:
        return policy, []
    summary = (
        f"The thresholds for groups by {policy.group_by!r} are left out: they were fitted to other probabilities. One "
        "threshold decides for all images; train with --fair to have them again."
    )
    finding = Finding("group_thresholds", summary, "warning", images)
    return replace(policy, group_by="", group_thresholds=()), [finding]


def unlimited_classes(policy: Policy, classes: Sequence[str], targets: Targets) -> list[Finding]:
    """A finding where classes have no threshold of sets, because there are too few images to fit one to."""
    if policy.sets not in OF_EACH_CLASS:
        return []
    few = [name for name, least in zip(classes, policy.set_thresholds, strict=True) if least == 0]
    if not few:
        return []
    named = ", ".join(few[:5]) + (", ..." if len(few) > 5 else "")
    by_answer = policy.sets == "answer_conditional"
    what = "are answered by sets of all classes" if by_answer else "belong to every prediction set"
    return [
        Finding(
            "few_for_sets",
            f"{named} ({len(few)} of {len(classes)}) {what}: a coverage of {policy.coverage:.4g} takes "
            f"{fewest_for(policy.coverage)} val images of each. Collect more of them, or ask for sets by lac.",
            "warning",
            len(targets),
            rows=[{"class": name} for name in few],
        )
    ]


def least_confidence(confidence: Floats, rate: float, weights: Floats | None = None) -> float:
    """The confidence that at most `rate` of new known images fall below on average, after that of N images."""
    return max(0.0, -rejection_threshold(-confidence, rate, weights) - MARGIN)


def rejection_threshold(strangeness: Floats, rate: float, weights: Floats | None = None) -> float:
    """The value that at most `rate` of new known images exceed on average; the largest seen if there are too few.

    `weights` (N,) say what each image counts.
    """
    order = np.argsort(strangeness, kind="stable")
    counts = np.ones(len(order)) if weights is None else weights[order]
    wanted = (counts.sum() + counts.max()) * (1 - rate) - ROUNDING
    rank = min(int(np.searchsorted(counts.cumsum(), wanted)), len(order) - 1)
    return float(strangeness[order][rank])
