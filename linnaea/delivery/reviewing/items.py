"""Images to look at, those in most doubt first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import read_content
from linnaea.data.review import Facts
from linnaea.errors import DataError
from linnaea.runtime.containers import Located

SURE = "ok"
STRANGE = 0.5  # the least doubt about an image that is unfamiliar, or that a finding names


@dataclass(frozen=True)
class Item:
    """An image to look at: where it is, what was answered for it, and in how much doubt it is, 0 to 1.

    `why` says in words what speaks for looking at it. `given` is the label that it has already, if any.
    """

    path: Located
    doubt: float
    why: str
    facts: Facts = field(default_factory=Facts)
    given: str = ""
    sha256: str = ""

    def content(self) -> bytes:
        """The bytes of the image; raises DataError where they cannot be read."""
        try:
            return read_content(self.path)
        except UnreadableError as error:
            raise DataError(f"{self.path} cannot be read: {error}.") from None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        told = self.facts
        return {
            "path": str(self.path),
            "doubt": round(self.doubt, 4),
            "why": self.why,
            "answer": told.was,
            "confidence": told.confidence,
            "reason": told.reason,
            "given": self.given,
            "request": told.request,
            "place": told.place,
            "sha256": self.sha256,
        }


def doubt_of(reason: str, confidence: float | None, strangeness: float | None = None) -> float:
    """The doubt about an answer: what its confidence lacks to 1; at least a half where the image is unfamiliar.

    `strangeness` is the share of the images asked about that are less unfamiliar, 0 to 1.
    """
    lacking = 1.0 if confidence is None else min(1.0, max(0.0, 1.0 - confidence))
    if reason == "unfamiliar":
        return max(lacking, STRANGE + (1 - STRANGE) * (0.5 if strangeness is None else strangeness))
    return lacking


def why_of(reason: str, confidence: float | None) -> str:
    """What speaks for looking at an answer, in words."""
    words = {
        SURE: "answered without doubt",
        "unsure": "the classifier is unsure",
        "unfamiliar": "unlike what the classifier was trained on",
        "unreadable": "the image could not be read",
        "undefined": "the classifier gave no number",
        "damaged": "part of the image is missing",
    }
    return words.get(reason, reason or "no answer was recorded") if confidence is not None or reason else "no answer"


def in_order(items: Sequence[Item], most: int | None) -> list[Item]:
    """Those in most doubt first, no more than so many (None: all); equal ones as they came."""
    ordered = sorted(items, key=lambda item: -item.doubt)
    return ordered if most is None else ordered[:most]
