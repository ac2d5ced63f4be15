"""From probabilities to answers, by a policy: numpy alone, so that every export carries this very file.

Whatever answers, here, in an exported script or behind a server, decides by these lines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Policy:
    """When to answer, and with what.

    A label belongs to the prediction set when its probability reaches `set_threshold`; where an image has one label,
    the most probable always does. The set then holds the truth in about `coverage` of pictures like those it was fitted
    on, or more (split conformal prediction; the guarantee would be exact had these pictures not also chosen the model).

    `thresholds` decide: of several labels each is answered whose probability reaches its own, of two classes the second
    where its probability reaches the one number given; empty, the most probable class is the answer, or every label of
    at least one half. `aim` says what they were chosen for.

    An answer is `unsure` below `confidence_threshold` and `unfamiliar` above `ood_threshold`; these were set to reject
    the shares `unsure_rate` and `unfamiliar_rate` of the `n` calibration pictures.
    """

    coverage: float = 0.9
    set_threshold: float = 0.0
    unsure_rate: float = 0.05
    confidence_threshold: float = 0.0
    unfamiliar_rate: float = 0.05
    ood_threshold: float | None = None
    n: int = 0
    thresholds: tuple[float, ...] = ()
    aim: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Policy":
        """The policy that `dataclasses.asdict` wrote to JSON."""
        return cls(**{**content, "thresholds": tuple(content["thresholds"])})


@dataclass(frozen=True)
class Decided:
    """What was decided about N images: `labels`, a name each or a list of names, `confidence` (N,) in [0, 1], `sets`.

    Where there are several labels, the confidence is that of the least sure one: its probability where it is answered,
    and one less that where it is not.
    """

    labels: list[Any]
    confidence: Floats
    sets: list[list[str]]


def decide(task: str, classes: Sequence[str], probabilities: Floats, policy: Policy) -> Decided:
    """Decide about probabilities (N, K) by the rule of the task."""
    return RULES[task](classes, probabilities, policy)


def reasons(confidence: Floats, scores: Floats | None, policy: Policy) -> list[str]:
    """A reason per image, `ok`, `unsure` or `unfamiliar`; `scores` (N,) are OOD scores, None where there are none."""
    known = scores is not None and policy.ood_threshold is not None
    strange = scores > policy.ood_threshold if known else np.zeros(len(confidence), dtype=bool)  # type: ignore[operator]
    unsure = confidence < policy.confidence_threshold
    named: list[str] = np.where(strange, "unfamiliar", np.where(unsure, "unsure", "ok")).tolist()
    return named


def one_label(classes: Sequence[str], probabilities: Floats, policy: Policy) -> Decided:
    """The most probable class; of two classes the second where it reaches the policy's threshold."""
    answers = probabilities.argmax(axis=1)
    if policy.thresholds:
        answers = (probabilities[:, 1] >= policy.thresholds[0]).astype(np.int64)
    confidence = np.take_along_axis(probabilities, answers[:, None], axis=1)[:, 0]
    least = np.minimum(policy.set_threshold, probabilities.max(axis=1, keepdims=True))
    sets = _named(classes, probabilities, probabilities >= least)
    return Decided([classes[number] for number in answers.tolist()], confidence, sets)


def several_labels(classes: Sequence[str], probabilities: Floats, policy: Policy) -> Decided:
    """Every label whose probability reaches its threshold, the most probable first; possibly none."""
    there = labels_there(probabilities, policy)
    confidence = np.where(there, probabilities, 1 - probabilities).min(axis=1)
    sets = _named(classes, probabilities, probabilities >= policy.set_threshold)
    return Decided(_named(classes, probabilities, there), confidence, sets)


def labels_there(probabilities: Floats, policy: Policy) -> Flags:
    """Which labels are answered (N, K)."""
    thresholds = np.asarray(policy.thresholds or 0.5, dtype=np.float64)
    return np.asarray(probabilities >= thresholds)


def _named(classes: Sequence[str], probabilities: Floats, chosen: Flags) -> list[list[str]]:
    """The names of the chosen classes of each image, the most probable first."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    pairs = zip(order.tolist(), chosen.tolist(), strict=True)
    return [[classes[number] for number in ranks if flags[number]] for ranks, flags in pairs]


RULES: dict[str, Callable[[Sequence[str], Floats, Policy], Decided]] = {
    "binary": one_label,
    "multiclass": one_label,
    "multilabel": several_labels,
}
