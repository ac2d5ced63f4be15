"""Which calibrator: by the cross-validated log loss on val, and one temperature where others are not clearly better."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from linnaea.arrays import Floats, Integers, Targets
from linnaea.finding import Finding

if TYPE_CHECKING:
    from linnaea.classifier.calibrators import Calibrator

USUAL = "temperature"
NAME = "calibrators"
FOLDS = 5
FEWEST = 200  # images by which calibrators are compared
FEWEST_PER_CLASS = 10
MOST_NUMBERS = 2_000_000  # images times classes, or for a matrix times classes again, that are fitted to by themselves


@dataclass(frozen=True)
class _Tried:
    """A calibrator that was tried: the loss of each image (n,) that it was not fitted to, or why it was not tried."""

    name: str
    losses: Floats | None
    note: str = ""


def choose_calibrator(
    raw: Floats, targets: Targets, by: str = "auto", units: Integers | None = None, seed: int = 0
) -> "tuple[Calibrator, Finding]":
    """The calibrator fitted to raw scores (n, K) of val, and the table of those that were tried.

    `by` is the name of one, or auto: then each is fitted to four fifths of the images and judged on the rest, in turn,
    whole `units` (n,) together. One temperature stays unless the mean log loss of another is lower by more than the
    standard error of the difference; of those that are as good as the best within that error, the simplest is taken
    (Breiman et al. 1984). With too few images temperature is used. Raises UsageError for a calibrator of another task,
    DataError for scores that are not numbers.
    """
    from linnaea.classifier.calibrators import CALIBRATORS, calibrators_for, require_calibrator, require_scores

    several = targets.ndim == 2
    require_calibrator(by, several=several)
    require_scores(raw, targets)
    drawn = np.arange(len(raw)) if units is None else units
    lack = _lack(targets, raw.shape[1], drawn)
    known = calibrators_for(several=several)
    wanted = known if by == "auto" else [name for name in known if name in ("none", USUAL, by)]
    tried: list[_Tried] = []
    if not lack:
        folds = dealt_folds(targets, drawn, seed)
        tried = [_try(name, raw, targets, folds, asked=name == by) for name in wanted]
    chosen = by if by != "auto" else _chosen(tried, drawn) if tried else USUAL
    return CALIBRATORS[chosen].fit(raw, targets), _finding(tried, chosen, by, lack, drawn)


def as_of_new_images(
    calibrator: "Calibrator", raw: Floats, targets: Targets, units: Integers | None = None, seed: int = 0
) -> Floats:
    """Calibrated logits (n, K) of the images that a calibrator was fitted to, as they would be of further images.

    Each image has those of a calibrator of the same kind that was fitted to the other `units` (n,): one of many numbers
    says more of an image that it knows than of any other, and thresholds fitted to that would promise too much. One
    temperature is one number, which no image moves by itself, and is taken as it is.
    """
    drawn = np.arange(len(raw)) if units is None else units
    if calibrator.kind in ("none", USUAL) or len(np.unique(drawn)) < FOLDS:
        return _logits(calibrator, raw)
    folds, logits = dealt_folds(targets, drawn, seed), np.empty(raw.shape)
    for fold in range(FOLDS):
        left = folds == fold
        logits[left] = _logits(type(calibrator).fit(raw[~left], targets[~left]), raw[left])
    return logits


def is_telling(finding: Finding) -> bool:
    """Whether the table of calibrators says more than that one temperature is used."""
    return finding.severity != "info" or any(row["chosen"] and row["calibrator"] != USUAL for row in finding.rows)


def _lack(targets: Targets, classes: int, units: Integers) -> str:
    """Why no calibrators are compared, if they are not."""
    count = len(np.unique(units))
    if count < FEWEST:
        return f"there are {count} images to compare by, and {FEWEST} are needed"
    if targets.ndim == 1 and len(np.unique(targets)) < 2:
        return "all images are of one class"
    if targets.ndim == 1 and len(targets) < FEWEST_PER_CLASS * classes:
        return f"there are fewer than {FEWEST_PER_CLASS} images per class"
    return ""


def dealt_folds(targets: Targets, units: Integers, seed: int) -> Integers:
    """The fold of each image (n,), dealt out by class, whole units together."""
    _, first, unit = np.unique(units, return_index=True, return_inverse=True)
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(first))
    kind = targets if targets.ndim == 1 else np.nan_to_num(targets).sum(axis=1)
    order = shuffled[np.argsort(kind[first][shuffled], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    return fold[unit]


def _try(name: str, raw: Floats, targets: Targets, folds: Integers, *, asked: bool) -> _Tried:
    from linnaea.classifier.calibrators import CALIBRATORS

    about = CALIBRATORS.about(name)
    size = raw.size * (raw.shape[1] if about.capabilities.get("square") else 1)
    if size > MOST_NUMBERS and name not in ("none", USUAL) and not asked:
        return _Tried(name, None, "not tried: it would take too long; ask for it by its name")
    losses = np.empty(len(raw))
    for fold in range(FOLDS):
        left = folds == fold
        fitted = CALIBRATORS[name].fit(raw[~left], targets[~left])
        losses[left] = losses_of(fitted, raw[left], targets[left])
    return _Tried(name, losses)


def losses_of(calibrator: "Calibrator", raw: Floats, targets: Targets) -> Floats:
    """The log loss of each image (n,), of several labels the mean over those that are known; 0 where none is."""
    logits = _logits(calibrator, raw)
    if targets.ndim == 1:
        return np.asarray(logsumexp(logits, axis=1) - logits[np.arange(len(targets)), targets])
    known = ~np.isnan(targets)
    each = np.where(known, np.logaddexp(0, logits) - np.where(known, targets, 0) * logits, 0)
    return np.asarray(each.sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def _logits(calibrator: "Calibrator", raw: Floats) -> Floats:
    import torch

    with torch.inference_mode():
        return np.asarray(calibrator(torch.from_numpy(np.asarray(raw, dtype=np.float64))).numpy())


def _difference(one: Floats, other: Floats, units: Integers) -> tuple[float, float]:
    """By how much the mean of one is higher than that of the other, both (n,), and the standard error of that."""
    _, unit = np.unique(units, return_inverse=True)
    sums = np.bincount(unit, one - other)
    count = len(sums)
    return float(sums.sum() / len(one)), float(sums.std(ddof=1) * np.sqrt(count) / len(one))


def _chosen(tried: Sequence[_Tried], units: Integers) -> str:
    from linnaea.classifier.calibrators import CALIBRATORS

    losses = {
        one.name: one.losses
        for one in tried
        if one.losses is not None and CALIBRATORS.about(one.name).capabilities.get("candidate", True)
    }
    best = min(losses, key=lambda name: float(losses[name].mean()))
    for name in (USUAL, *losses):  # the simplest first
        more, error = _difference(losses[name], losses[best], units)
        if more <= error:
            return name
    return best


def _finding(tried: Sequence[_Tried], chosen: str, by: str, lack: str, units: Integers) -> Finding:
    usual = next((one.losses for one in tried if one.name == USUAL), None)
    rows = [_row(one, usual, chosen, units) for one in tried]
    severity = "info"
    if lack:
        asked = "" if by == "auto" else f" {chosen} was asked for."
        return Finding(NAME, f"Calibrators were not compared: {lack}.{asked or ' One temperature is used.'}", rows=rows)
    losses = {row["calibrator"]: row for row in rows}
    own = losses[chosen]
    if by != "auto":
        summary = f"The calibrator {chosen} was asked for{_against(own)}."
        worse = own["difference"] is not None and own["difference"] > own["standard_error"]
        severity = "warning" if worse else "info"
    elif chosen == USUAL:
        summary = (
            "One temperature is used: no other calibrator has a log loss that is lower by more than its standard error"
            f" (cross-validated on val: {own['log_loss']:.4f})."
        )
    else:
        summary = f"The calibrator {chosen} was chosen{_against(own)}."
    return Finding(NAME, summary, severity, len(units), rows=rows)


def _against(row: dict[str, Any]) -> str:
    """How it compares with one temperature."""
    if row["difference"] is None:
        return ""
    side = "lower" if row["difference"] < 0 else "higher"
    return (
        f": its log loss, cross-validated on val, is {row['log_loss']:.4f}, {side} than that of one temperature by "
        f"{abs(row['difference']):.4f} with a standard error of {row['standard_error']:.4f}"
    )


def _row(one: _Tried, usual: Floats | None, chosen: str, units: Integers) -> dict[str, Any]:
    row: dict[str, Any] = {
        "calibrator": one.name,
        "chosen": one.name == chosen,
        "log_loss": None,
        "difference": None,
        "standard_error": None,
        "note": one.note,
    }
    if one.losses is not None:
        row["log_loss"] = float(one.losses.mean())
        if usual is not None and one.name != USUAL:
            row["difference"], row["standard_error"] = _difference(one.losses, usual, units)
    return row
