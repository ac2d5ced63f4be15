"""Calibration: probabilities that mean something, sets that cover, and thresholds with a stated rejection rate."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from linnaea.arrays import Floats, Targets
from linnaea.decisions import Outputs, Policy, decide
from linnaea.errors import DataError
from linnaea.evidence.aims import MARGIN, Goal
from linnaea.evidence.roll_up import RISK, fit_roll_up, require_taxonomy
from linnaea.evidence.thresholds import TASKS_WITH_THRESHOLDS, fit_thresholds, require_thresholds
from linnaea.finding import Finding
from linnaea.runtime.arguments import require_share
from linnaea.task import TASKS

if TYPE_CHECKING:
    from linnaea.classifier import Classifier  # which imports torch; predictions are judged without

ROUNDING = 1e-9  # 10 * (1 - 0.9) is 1, whatever floating point says


@dataclass(frozen=True)
class Aims:
    """What the policy is asked for: coverage of the sets, and the shares of known images to reject; all in (0, 1).

    `aim` says what thresholds are chosen for, such as "recall=0.95" (see `linnaea.evidence.aims`); None for what is
    usual for the task. `risk` is the share of wrong answers that groups of classes are answered for, in place of the
    `unsure_rate` (None: 0.1 where there are groups).
    """

    coverage: float = 0.9
    unsure_rate: float = 0.05
    unfamiliar_rate: float = 0.05
    aim: str | None = None
    risk: float | None = None

    def __post_init__(self) -> None:
        for name, usual in {"coverage": 0.9, "unsure_rate": 0.05, "unfamiliar_rate": 0.05}.items():
            require_share(name, getattr(self, name), usual)
        if self.aim is not None:
            Goal.parse(self.aim)


def calibrate(
    classifier: "Classifier", outputs: Outputs, targets: Targets, aims: Aims | None = None, by: str = "temperature"
) -> "Classifier":
    """Fit the calibrator, then the policy, on images that the model was not trained on.

    `outputs` are what `classifier.score` said of N images, `targets` the truth: (N,) indices, or (N, K) of 0, 1 and NaN
    for several labels; `by` names the calibrator. Returns a new classifier. Raises UsageError for an aim that no
    threshold reaches, or that the task has no use for.
    """
    return calibrate_with_findings(classifier, outputs, targets, aims, by)[0]


def calibrate_with_findings(
    classifier: "Classifier", outputs: Outputs, targets: Targets, aims: Aims | None = None, by: str = "temperature"
) -> "tuple[Classifier, list[Finding]]":
    """The same, and what is to be said of the thresholds."""
    import torch

    from linnaea.classifier.calibrators import CALIBRATORS

    aims = aims or Aims()
    unsound = int((~outputs.defined).sum())
    if unsound:
        raise DataError(
            f"the model's output for {unsound} of {len(targets)} validation images is not a number: it cannot be "
            "calibrated. Train with a lower learning rate, or choose another model."
        )
    raw = np.asarray(outputs.raw, dtype=np.float64)
    calibrator = CALIBRATORS[by].fit(raw, targets)
    probabilities = TASKS[classifier.task].probabilities(calibrator(torch.from_numpy(raw)).numpy())
    prior = tuple(float(share) for share in probabilities.mean(axis=0))
    policy, findings = fit_policy(classifier, probabilities, outputs.ood_scores, targets, aims)
    return classifier.with_(calibrator=calibrator, prior=prior, prior_shift=(), policy=policy), findings


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
    set_threshold = (
        false_negative_threshold(probabilities, targets, aims.coverage)
        if task.multilabel
        else conformal_threshold(probabilities, targets, aims.coverage, weights)
    )
    policy = replace(classifier.policy, thresholds=(), aim="", set_threshold=max(0.0, set_threshold - MARGIN))
    findings: list[Finding] = []
    if classifier.task in TASKS_WITH_THRESHOLDS:
        counted = (1.0, 1.0) if weights is None else (float(weights[0]), float(weights[1]))
        fitted = fit_thresholds(probabilities, targets, aims.aim, classes=classifier.classes, weights=counted)
        policy = replace(policy, thresholds=fitted.thresholds, aim=fitted.aim)
        findings += fitted.findings
    of_images = None if weights is None else weights[targets]
    unsure_rate = aims.unsure_rate
    if task.hierarchical:
        risk = RISK if aims.risk is None else aims.risk
        rolled = fit_roll_up(probabilities, targets, classifier.taxonomy, risk, of_images)
        policy = replace(policy, thresholds=(rolled.threshold,), risk=risk)
        confidence_threshold, unsure_rate = rolled.threshold, rolled.declined
        findings.append(rolled.finding)
    else:
        confidence = decide(classifier.task, classifier.classes, probabilities, policy).confidence
        unsure = rejection_threshold(-confidence, aims.unsure_rate, of_images)
        confidence_threshold = max(0.0, -unsure - MARGIN)
    strange = None
    if scores is not None:
        strange = rejection_threshold(scores, aims.unfamiliar_rate, of_images)
        strange += MARGIN * abs(strange)
    policy = replace(
        policy,
        coverage=aims.coverage,
        unsure_rate=unsure_rate,
        confidence_threshold=confidence_threshold,
        unfamiliar_rate=aims.unfamiliar_rate,
        ood_threshold=strange,
        n=len(targets),
    )
    return policy, findings


def false_negative_threshold(probabilities: Floats, targets: Targets, coverage: float) -> float:
    """The highest probability a label of the set must reach such that sets miss at most 1 - coverage of the truths.

    Conformal risk control (Angelopoulos et al. 2024) of the share of an image's true labels (N, K) that its set misses,
    averaged over images with at least one: the bound holds in expectation for a further image, whatever the model. 0
    (every label belongs to the set) when there are too few such images.
    """
    rows = np.flatnonzero((targets == 1).any(axis=1))
    true = targets[rows] == 1
    shares = np.broadcast_to(1 / true.sum(axis=1, keepdims=True), true.shape)[true]
    order = np.argsort(probabilities[rows][true], kind="stable")
    values = probabilities[rows][true][order]
    # A threshold equal to the value at a place misses all true labels with smaller values.
    lost = np.concatenate([[0.0], np.cumsum(shares[order])])[np.searchsorted(values, values, side="left")]
    allowed = (len(rows) + 1) * (1 - coverage) - 1 + ROUNDING
    fitting = np.flatnonzero(lost <= allowed)
    return float(values[fitting[-1]]) if len(fitting) else 0.0


def conformal_threshold(
    probabilities: Floats, targets: Targets, coverage: float, weights: Floats | None = None
) -> float:
    """The lowest probability that a label of the set may have (Sadinle et al. 2019), exact for finite samples.

    0 (every label belongs to the set) when there are too few images for the coverage asked for. `weights` (K,) say
    what an image of each class counts, where classes are met in other shares (Podkopaev and Ramdas 2021).
    """
    truth = np.take_along_axis(probabilities, targets[:, None], axis=1)[:, 0]
    order = np.argsort(truth, kind="stable")
    counts = np.ones(len(truth)) if weights is None else weights[targets][order]
    one = float(counts.max(initial=0.0))
    allowed = (counts.sum() + one) * (1 - coverage) - one + ROUNDING
    fitting = np.flatnonzero(counts.cumsum() - counts <= allowed)
    return float(truth[order][fitting[-1]]) if len(fitting) else 0.0


def rejection_threshold(strangeness: Floats, rate: float, weights: Floats | None = None) -> float:
    """The value that at most `rate` of new known images exceed on average; the largest seen if there are too few.

    `weights` (N,) say what each image counts.
    """
    order = np.argsort(strangeness, kind="stable")
    counts = np.ones(len(order)) if weights is None else weights[order]
    wanted = (counts.sum() + counts.max()) * (1 - rate) - ROUNDING
    rank = min(int(np.searchsorted(counts.cumsum(), wanted)), len(order) - 1)
    return float(strangeness[order][rank])
