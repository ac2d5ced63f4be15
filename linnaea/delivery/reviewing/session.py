"""What happens in a page of review: images one after the other, each labelled or skipped, and taken back."""

import hashlib
import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from threading import RLock
from typing import Any

from linnaea.data.images.decoding import Bounds, read_rgb
from linnaea.data.images.opening import DamagedError, UnreadableError
from linnaea.data.review import Label, ReviewFolder
from linnaea.delivery.reviewing.items import Item
from linnaea.errors import DataError, LinnaeaError, UsageError, suggest
from linnaea.runtime.containers import MARK

KEYS = "123456789abcdeghijklmopqrtvwxyz"  # of classes; f, n, s and u do something else
SIDE, QUALITY = 1_280, 88  # of what is shown


@dataclass(frozen=True)
class Rules:
    """What may be answered: the classes; `several` for an image? Are the classifier's answers shown `before`?"""

    classes: tuple[str, ...]
    several: bool = False
    before: bool = False


@dataclass(frozen=True)
class Step:
    """What was done with the image of this number: its label was filed as `said`, or it was skipped (None)."""

    number: int
    said: str | None
    sha256: str = ""


class Session:
    """Files labels in a review folder, image by image; several tabs of a browser may be open at a time."""

    def __init__(self, items: Sequence[Item], rules: Rules, folder: ReviewFolder, after: Sequence[str] = ()) -> None:
        self.items, self.rules, self.folder, self.after = list(items), rules, folder, list(after)
        self._left = deque(range(len(self.items)))
        self._steps: list[Step] = []
        self._lock = RLock()

    @property
    def filed(self) -> int:
        """How many images were given a label."""
        return sum(step.said is not None for step in self._steps)

    def state(self) -> dict[str, Any]:
        """Where the review stands, as JSON types."""
        with self._lock:
            now = self._left[0] if self._left else None
            return {
                "classes": list(self.rules.classes),
                "keys": KEYS[: len(self.rules.classes)],
                "several": self.rules.several,
                "total": len(self.items),
                "filed": self.filed,
                "skipped": len(self._steps) - self.filed,
                "left": len(self._left),
                "now": None if now is None else self._told(now),
                "following": self._left[1] if len(self._left) > 1 else None,
                "last": self._told_last(),
                "folder": str(self.folder.folder),
                "after": self.after,
            }

    def answer(self, number: int) -> dict[str, Any]:
        """What the classifier said of an image, and the label that it has already."""
        item = self._item(number)
        told = {"answer": item.facts.was, "confidence": item.facts.confidence, "reason": item.facts.reason}
        return told | ({"given": item.given} if item.given else {})

    def label(self, number: int, label: Label, *, new: bool = False) -> None:
        """File the image that is shown; raises UsageError for another one, and for a label that is no class.

        `new` says that it need be none.
        """
        with self._lock:
            item = self._shown(number)
            names = [] if label is None else [label] if isinstance(label, str) else list(label)
            strange = [name for name in names if name not in self.rules.classes]
            if strange and not new:
                raise UsageError(f"{strange[0]!r} is none of the classes.{suggest(strange[0], self.rules.classes)}")
            content = item.content()
            digest = hashlib.sha256(content).hexdigest()
            if item.sha256 and item.sha256 != digest:
                raise DataError(f"{item.path} has changed since it was listed: skip it.")
            self.folder.file(content, label, replace(item.facts, reason=item.facts.reason or item.why))
            self._done(Step(number, ", ".join(names) or "none of the classes", digest))

    def skip(self, number: int) -> None:
        """Leave the image that is shown as it is."""
        with self._lock:
            self._shown(number)
            self._done(Step(number, None))

    def undo(self) -> None:
        """Take back the last step; raises UsageError where there is none."""
        with self._lock:
            if not self._steps:
                raise UsageError("there is nothing to undo.")
            step = self._steps[-1]
            if step.said is not None:
                self.folder.undo(step.sha256)
            self._steps.pop()
            self._left.appendleft(step.number)

    def look_again(self) -> None:
        """Show the skipped images once more."""
        with self._lock:
            self._left.extend(step.number for step in self._steps if step.said is None)
            self._steps = [step for step in self._steps if step.said is not None]

    def picture(self, number: int) -> bytes:
        """The image as it is shown, a JPEG; raises DataError where it cannot be decoded."""
        content = self._item(number).content()
        try:
            image = read_rgb(content, SIDE, Bounds())
        except DamagedError as error:
            image = error.image.convert("RGB")
        except UnreadableError as error:
            raise DataError(f"the image cannot be shown: {error}.") from None
        image.thumbnail((SIDE, SIDE))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=QUALITY)
        return out.getvalue()

    def _item(self, number: int) -> Item:
        if not 0 <= number < len(self.items):
            raise UsageError(f"there is no image {number}: expected 0 to {len(self.items) - 1}.")
        return self.items[number]

    def _shown(self, number: int) -> Item:
        """The image that is shown, if it has this number."""
        if not self._left or self._left[0] != number:
            raise OutOfStepError("this image was dealt with already, perhaps in another tab: here is the next.")
        return self.items[number]

    def _done(self, step: Step) -> None:
        self._steps.append(step)
        self._left.popleft()

    def _told(self, number: int) -> dict[str, Any]:
        item = self.items[number]
        told = {"number": number, "name": _name_of(item), "why": item.why}
        return told | (self.answer(number) if self.rules.before else {})

    def _told_last(self) -> dict[str, Any] | None:
        if not self._steps:
            return None
        step = self._steps[-1]
        return {"said": step.said, "name": _name_of(self.items[step.number]), **self.answer(step.number)}


class OutOfStepError(LinnaeaError):
    """Something was asked for that another tab has done."""


def _name_of(item: Item) -> str:
    """The name of the file alone."""
    return PurePosixPath(str(item.path).rpartition(MARK)[2]).name
