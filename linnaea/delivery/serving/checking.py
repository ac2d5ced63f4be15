"""What a new version must show before it answers in the place of another: it is intact, alike, and answers."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Images
from linnaea.classifier import Classifier
from linnaea.delivery.exporters.parity import PARITY
from linnaea.delivery.serving.contract import Answered
from linnaea.delivery.serving.models import Served
from linnaea.errors import LinnaeaError, RunError, UnreadableImageError
from linnaea.runtime.files import read_json
from linnaea.runtime.words import counted

KEPT, LARGEST = 8, 2**20  # images that are kept, and bytes of the largest one
ENOUGH = 4  # images, on which it is asked whether two versions agree


class NotSwitchedError(LinnaeaError):
    """A new version did not take the place of the old one, which goes on answering; the message says why."""


@dataclass(frozen=True)
class Demands:
    """What may differ between an old version and a new one.

    `other_classes` lets the new one have another task or other classes; `agreement` is the share of the images that
    were last answered which the new one must give the same label, 0 for none.
    """

    other_classes: bool = False
    agreement: float = 0.5


class Probes:
    """An observer that keeps the last few images that were answered, in memory alone, to try a new version on."""

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def answered(self, batch: Sequence[Answered]) -> None:
        """Keep those that could be read and are not large."""
        with self._lock:
            self._kept.extend(
                one.image for one in batch if one.image is not None and len(one.image) <= LARGEST and one.logits
            )

    def close(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()

    def images(self) -> list[bytes]:
        """The bytes of the files that are kept."""
        with self._lock:
            return list(self._kept)


def require_fit(old: Served, new: Served, demands: Demands, probes: Sequence[bytes] = ()) -> str:
    """What was found of a new version that may take the place of an old one; raises NotSwitchedError otherwise."""
    found = [_alike(old, new, demands), _parity(new)]
    _require_answers(new.classifier)
    found.append(_agreement(old, new, demands, probes))
    return " ".join(filter(None, found))


def _alike(old: Served, new: Served, demands: Demands) -> str:
    """What differs in task and classes, where that is allowed."""
    before, after = old.classifier, new.classifier
    if before.task != after.task:
        told = f"the task is {after.task}, and was {before.task}"
    elif before.classes != after.classes:
        missing = [name for name in before.classes if name not in after.classes]
        further = [name for name in after.classes if name not in before.classes]
        lists = [f"{word} {', '.join(names[:3])}" for word, names in (("without", missing), ("with", further)) if names]
        told = f"the classes are others ({'; '.join(lists) or 'in another order'})"
    else:
        return ""
    if not demands.other_classes:
        raise NotSwitchedError(f"{told}: allow that (other_classes), or serve it under a name of its own.")
    return f"Allowed: {told}."


def _parity(new: Served) -> str:
    """What the record of an export says of the comparison with the run that it was made of."""
    try:
        content: Any = read_json(new.folder / PARITY) if (new.folder / PARITY).is_file() else {}
    except RunError as error:
        raise NotSwitchedError(str(error)) from None
    outcome = content.get("outcome") if isinstance(content, dict) else None
    if outcome == "failed":
        raise NotSwitchedError(f"{new.folder / PARITY} says that the export failed its check: export again.")
    return f"Its parity with the run was {outcome}." if outcome else ""


def _require_answers(classifier: Classifier) -> None:
    """Raise NotSwitchedError unless it answers black, white, noise and a slope with numbers that can be answers."""
    outputs = classifier.score(made_up(classifier.recipe.shape))
    if not outputs.defined.all():
        raise NotSwitchedError("what it says of a plain image is not a number.")
    probabilities = outputs.probabilities
    wrong = (probabilities < -1e-6) | (probabilities > 1 + 1e-6)
    sums = probabilities.sum(axis=1)
    if wrong.any() or (classifier.task != "multilabel" and (abs(sums - 1) > 1e-3).any()):
        raise NotSwitchedError("what it says of a plain image are no probabilities.")


def made_up(shape: tuple[int, ...]) -> Images:
    """Black, white, noise and a slope (4, S, S, C)."""
    height, width, channels = shape
    slope = np.linspace(0, 255, width, dtype=np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sloping = np.broadcast_to(slope[None, :, None], (height, width, channels))
    return np.stack([np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), noise, sloping])


def _agreement(old: Served, new: Served, demands: Demands, probes: Sequence[bytes]) -> str:
    """How many of the images that were last answered get the same label."""
    pairs = [pair for content in probes if (pair := _labels(old, new, content)) is not None]
    same = sum(before == after for before, after in pairs)
    if not pairs:
        return ""
    told = f"{same} of the last {counted(len(pairs), 'image')} get the same label"
    if len(pairs) >= ENOUGH and same < demands.agreement * len(pairs):
        raise NotSwitchedError(f"{told}, and {100 * demands.agreement:g} % were to (agreement).")
    return f"{told[0].upper()}{told[1:]}."


def _labels(old: Served, new: Served, content: bytes) -> tuple[Any, Any] | None:
    """What both say of an image; None where only one can, as it reads it or has such a class."""
    try:
        before, after = _label(old.classifier, content), _label(new.classifier, content)
    except UnreadableImageError:
        return None
    named = before if isinstance(before, list) else [before]
    lost = [name for name in named if name in old.classifier.classes and name not in new.classifier.classes]
    return None if lost else (before, after)


def _label(classifier: Classifier, content: bytes) -> Any:
    pixels, _ = classifier.recipe.decode(content)
    answer = classifier.answer(classifier.score(pixels[None]), {"id": [""], "truth": [None]}, [None])
    return answer.column("label")[0]
