"""A classifier for other shares of the classes than those of val: its probabilities, thresholds and sets corrected."""

from collections.abc import Mapping

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.classifier import Classifier
from linnaea.errors import DataError, UsageError, suggest
from linnaea.evidence.calibration import Aims, fit_policy
from linnaea.evidence.calibrator_choice import as_of_new_images
from linnaea.evidence.uncertainty import sample_of
from linnaea.predictions import Predictions
from linnaea.task import TASKS

TASKS_WITH_PRIOR = ("binary", "multiclass")
ROUNDING = 1e-6
LEAST = 1e-6  # no class is ruled out


def adapt(classifier: Classifier, prior: Mapping[str, float] | Floats, val: Predictions, how: str) -> Classifier:
    """A classifier for images among which the classes have other shares: probabilities, thresholds and sets.

    `prior` says the shares by name, those not named keep their proportions; or all of them (K,). Each calibrated logit
    gets the logarithm of the new share over the old (Saerens et al. 2002), the old being the mean probability over val
    (Alexandari et al. 2020); then the policy is fitted again on `val`, what this classifier said of its val images,
    each weighed as often as its class is now to be met. Raises UsageError or DataError.
    """
    if classifier.task not in TASKS_WITH_PRIOR:
        raise UsageError(
            f"the task is {classifier.task}: class shares can only be stated where each image has one class."
        )
    if classifier.scorer.whole:
        raise UsageError(
            f"the class shares of a file of the kind {classifier.scorer.kind} cannot be changed: adapt the classifier "
            "of its run, then export it again."
        )
    if not classifier.prior:
        raise UsageError("this classifier does not say for which class shares it was calibrated: train it again.")
    if classifier.policy.group_thresholds:
        raise UsageError(
            f"this classifier has a threshold for each group of {classifier.policy.group_by!r}, all of them fitted "
            "where classes had the shares of val: train it without --fair to state other shares."
        )
    _require_same(classifier, val)
    old = np.array(classifier.prior)
    new = np.asarray(prior, dtype=np.float64) if not isinstance(prior, Mapping) else _named(prior, classifier, old)
    new = np.maximum(new, LEAST) / np.maximum(new, LEAST).sum()
    rows = np.flatnonzero(val.readable)
    shift, targets = np.log(new / old), val.targets[rows]
    present = np.bincount(targets, minlength=len(old)) / len(targets)
    weights = np.divide(new, present, out=np.zeros_like(new), where=present > 0)
    probabilities = TASKS[classifier.task].probabilities(_logits(classifier, val, rows, targets) + shift)
    known = classifier.policy
    aims = Aims(known.coverage, known.unsure_rate, known.unfamiliar_rate, known.aim or None, sets=known.sets)
    strange = np.array(val.column("ood_score"), dtype=np.float64)[rows]
    scores = None if classifier.ood_score is None else strange
    policy, _ = fit_policy(classifier, probabilities, scores, targets, aims, weights)
    total = np.array(classifier.prior_shift or np.zeros(len(old))) + shift
    shares = {name: round(float(share), 6) for name, share in zip(classifier.classes, new, strict=True)}
    return classifier.with_(
        prior=tuple(new.tolist()),
        prior_shift=tuple(total.tolist()),
        policy=policy,
        provenance={**classifier.provenance, "prior": {"shares": shares, "how": how}},
    )


def _logits(classifier: Classifier, val: Predictions, rows: Integers, targets: Integers) -> Floats:
    """Calibrated logits (n, K) of val as thresholds are fitted to them, for the shares that were stated before."""
    if classifier.calibrator is None:
        return np.asarray(val.scores("logits")[rows])
    units = sample_of(val).unit_of[rows]
    before = np.array(classifier.prior_shift or np.zeros(len(classifier.classes)))
    logits = as_of_new_images(classifier.calibrator, val.scores("raw_scores")[rows], targets, units)
    return np.asarray(logits + before)


def _require_same(classifier: Classifier, val: Predictions) -> None:
    if val.classes != classifier.classes or not val.readable.any():
        raise DataError(
            f"the val predictions are of {len(val.classes)} classes and {int(val.readable.sum())} readable images: "
            "expected the predictions of this classifier on its own val images."
        )


def _named(prior: Mapping[str, float], classifier: Classifier, old: Floats) -> Floats:
    places = {name: number for number, name in enumerate(classifier.classes)}
    for name, share in prior.items():
        if name not in places:
            known = ", ".join(classifier.classes[:5])
            raise UsageError(f"unknown class {name!r}: one of {known}.{suggest(name, classifier.classes)}")
        if not 0 < share < 1:
            raise UsageError(f"the share of {name!r} is {share}; expected one between 0 and 1, such as 0.01.")
    rest, total = [name for name in places if name not in prior], sum(prior.values())
    if (rest and total >= 1) or (not rest and abs(total - 1) > ROUNDING) or not prior:
        raise UsageError(
            f"the shares sum to {total:g}; expected {'less than 1' if rest else '1'} for all classes together."
        )
    others = sum(old[places[name]] for name in rest)
    kept = {name: (1 - total) * old[places[name]] / others for name in rest}
    return np.array([(prior[name] if name in prior else kept[name]) for name in places]) / (1.0 if rest else total)
