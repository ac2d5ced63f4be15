"""What a search has seen: points of worth and time, and those that no other is better than in both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from linnaea.finding import Estimate


@dataclass(frozen=True)
class Seen:
    """A network of a search: the share of `width` taken out, blocks `skipped`, side of its images, and what came of it.

    `figure` is the task's metric on val after a short training; None for one that was not trained, because of `note`.
    """

    width: float
    skipped: int
    size: int
    milliseconds: float
    megabytes: float
    figure: Estimate | None = None
    note: str = ""
    on_front: bool = False
    chosen: bool = False

    @property
    def name(self) -> str:
        """In a few words."""
        parts = [f"width -{self.width:.0%}"] if self.width else []
        parts += [f"{self.skipped} blocks fewer"] if self.skipped else []
        return ", ".join([*parts, f"{self.size} px"])

    @property
    def value(self) -> float:
        """Its worth; 0 for one that was not trained."""
        return 0.0 if self.figure is None or self.figure.value is None else self.figure.value

    def to_json(self) -> dict[str, Any]:
        """A row of a finding."""
        figure = self.figure
        told: dict[str, Any] = {"value": None, "lo": None, "hi": None, "n": None}
        if figure is not None:
            told = {"value": figure.value, "lo": figure.lo, "hi": figure.hi, "n": figure.n}
        return {
            "name": self.name,
            "width": self.width,
            "skipped": self.skipped,
            "size": self.size,
            **told,
            "milliseconds": self.milliseconds,
            "megabytes": self.megabytes,
            "trained": figure is not None,
            "note": self.note,
            "front": self.on_front,
            "chosen": self.chosen,
        }


def with_front(seen: Sequence[Seen]) -> list[Seen]:
    """The same, those marked that were trained and that no other is better than in worth and time."""
    return [
        replace(one, on_front=one.figure is not None and not any(_beats(other, one) for other in seen)) for one in seen
    ]


def _beats(one: Seen, other: Seen) -> bool:
    if one.figure is None:
        return False
    no_worse = one.value >= other.value and one.milliseconds <= other.milliseconds
    return no_worse and (one.value > other.value or one.milliseconds < other.milliseconds)


def choose(seen: Sequence[Seen], least: float, *, to_target: bool) -> Seen | None:
    """With a target the best of those that were trained; else the fastest that is worth `least`, or else the best."""
    trained = [one for one in seen if one.figure is not None]
    if not trained:
        return None
    good = [one for one in trained if one.value >= least]
    if to_target or not good:
        return max(trained, key=lambda one: (one.value, -one.milliseconds))
    return min(good, key=lambda one: (one.milliseconds, -one.value))
