"""The truth as calibrators are fitted to it: with a little doubt, and the loss of logits against it."""

import numpy as np
from scipy.special import expit

from linnaea.arrays import Floats, Targets


def doubted(targets: Targets, classes: int) -> Floats:
    """Targets as shares (N, K), each truth a little less than one, as if one more image had been wrong (Platt 1999).

    NaN stays where nobody knows.
    """
    if targets.ndim == 2:
        doubt = 1 / ((~np.isnan(targets)).any(axis=1).sum() + 2)
        return np.asarray(doubt + (1 - 2 * doubt) * targets, dtype=np.float64)
    doubt = 1 / (len(targets) + 2)
    wanted = np.full((len(targets), classes), doubt / max(classes - 1, 1))
    wanted[np.arange(len(targets)), targets] = 1 - doubt
    return wanted


def loss_and_slope(logits: Floats, wanted: Floats, *, several: bool) -> tuple[float, Floats]:
    """The sum over images of the cross-entropy against shares (N, K), and its gradient by the logits (N, K).

    What nobody knows, NaN, counts as nothing.
    """
    if not several:
        lowered = logits - logits.max(axis=1, keepdims=True)
        parts = np.exp(lowered)
        total = parts.sum(axis=1, keepdims=True)
        loss = float(np.log(total).sum() - (wanted * lowered).sum())  # the shares of an image sum to one
        return loss, np.asarray(parts / total - wanted)
    known = ~np.isnan(wanted)
    there = np.where(known, wanted, 0.0)
    loss = float(np.where(known, np.logaddexp(0, logits) - there * logits, 0.0).sum())
    return loss, np.where(known, expit(logits) - there, 0.0)
