"""Calibration: probabilities that mean something, sets that cover, and thresholds with a stated rejection rate."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from linnaea.classifier import Classifier
from linnaea.decisions import decide
from linnaea.errors import UsageError
from linnaea.task import TASKS

Floats = npt.NDArray[np.floating]
Targets = npt.NDArray[Any]
ROUNDING = 1e-9  # 10 * (1 - 0.9) is 1, whatever floating point says
MARGIN = 1e-5  # what two runtimes may differ by: a picture on a threshold is on its known side


@dataclass(frozen=True)
class Aims:
    """What the policy is asked for: coverage of the sets, and the shares of known pictures to reject; all in (0, 1)."""

    coverage: float = 0.9
    unsure_rate: float = 0.05
    unfamiliar_rate: float = 0.05

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < 1:
                raise UsageError(f"{name} is {value}; expected a share between 0 and 1, such as 0.05.")


def calibrate(
    classifier: Classifier, logits: Floats, scores: Floats, targets: Targets, aims: Aims | None = None
) -> Classifier:
    """Fit the temperature, then the policy, on pictures that the model was not trained on.

    `logits` (N, K) and OOD `scores` (N,) are what `classifier.score` said of them, `targets` the truth: (N,) indices,
    or (N, K) of 0, 1 and NaN for several labels. Returns a new classifier.
    """
    aims = aims or Aims()
    raw = logits * classifier.temperature
    task = TASKS[classifier.task]
    temperature = (fit_temperature_of_labels if task.multilabel else fit_temperature)(raw, targets)
    probabilities = task.probabilities(raw / temperature)
    set_threshold = (false_negative_threshold if task.multilabel else conformal_threshold)(
        probabilities, targets, aims.coverage
    )
    policy = replace(classifier.policy, thresholds=(), set_threshold=max(0.0, set_threshold - MARGIN))
    confidence = decide(classifier.task, classifier.classes, probabilities, policy).confidence
    known = classifier.familiarity is not None
    policy = replace(
        policy,
        coverage=aims.coverage,
        unsure_rate=aims.unsure_rate,
        confidence_threshold=max(0.0, -rejection_threshold(-confidence, aims.unsure_rate) - MARGIN),
        unfamiliar_rate=aims.unfamiliar_rate,
        ood_threshold=rejection_threshold(scores, aims.unfamiliar_rate) * (1 + MARGIN) if known else None,
        n=len(targets),
    )
    return classifier.with_(temperature=temperature, policy=policy)


def fit_temperature(logits: Floats, targets: Targets) -> float:
    """The temperature in [0.05, 20] that minimises the negative log-likelihood (Guo et al. 2017).

    As if one more picture had been wrong, each truth counts a little less than one (Platt 1999): without that, logits
    that are right on every picture would be driven to certainty.
    """
    doubt = 1 / (len(targets) + 2)

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        truth = np.take_along_axis(scaled, targets[:, None], axis=1)[:, 0]
        others = (scaled.sum(axis=1) - truth) / (scaled.shape[1] - 1)
        return -float(((1 - doubt) * truth + doubt * others).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def fit_temperature_of_labels(logits: Floats, targets: Targets) -> float:
    """The temperature in [0.05, 20] that minimises the binary cross-entropy over the known targets (N, K).

    With the doubt of `fit_temperature` in every truth.
    """
    known = ~np.isnan(targets)
    doubt = 1 / (known.any(axis=1).sum() + 2)
    wanted, given = np.where(targets[known] == 1, 1 - doubt, doubt), logits[known]

    def loss(log_temperature: float) -> float:
        scaled = given / np.exp(log_temperature)
        return float((np.logaddexp(0, scaled) - wanted * scaled).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


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


def conformal_threshold(probabilities: Floats, targets: Targets, coverage: float) -> float:
    """The lowest probability that a label of the set may have (Sadinle et al. 2019), exact for finite samples.

    0 (every label belongs to the set) when there are too few pictures for the coverage asked for.
    """
    truth = np.sort(np.take_along_axis(probabilities, targets[:, None], axis=1)[:, 0])
    rank = int(np.floor((len(truth) + 1) * (1 - coverage) + ROUNDING))
    return float(truth[rank - 1]) if rank >= 1 else 0.0


def rejection_threshold(strangeness: Floats, rate: float) -> float:
    """The value that at most `rate` of new known pictures exceed on average; the largest seen if there are too few."""
    ordered = np.sort(strangeness)
    rank = int(np.ceil((len(ordered) + 1) * (1 - rate) - ROUNDING))
    return float(ordered[min(rank, len(ordered)) - 1])
