"""The contract of a check of explanations, and what it sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from linnaea.arrays import Array, Flags, Floats, Images, Integers
from linnaea.errors import UsageError
from linnaea.evidence.explanation.black_box.covering import Answer
from linnaea.evidence.explanation.contract import EXPLAINERS
from linnaea.finding import Finding
from linnaea.registry import Registry

Rows = list[dict[str, Any]]
PASSED, FAILED, OPEN, NOT_DONE = "passed", "failed", "undecided", "not done"


class Remake(Protocol):
    """Makes the maps of a method again, of other images or of what has learnt nothing."""

    def __call__(self, method: str, images: Images, seed: int) -> Floats:
        """Maps (N, H, W) of images (N, H, W, C) for the same classes as before."""


@dataclass(frozen=True)
class Unlearnt:
    """What was explained, with part of what it had learnt taken away: how, its maps, and its answers.

    `answer` is None where answers are drawn at random, so that nothing learnt is left in them.
    """

    how: str
    remake: Remake
    answer: Answer | None = None


@dataclass(frozen=True)
class Explained:
    """What a check sees: images (N, H, W, C), the class explained of each (N,), and maps (N, H, W) by method.

    `answer` gives probabilities of images. `remake` makes maps again. `unlearnt(method)` gives stages of taking away
    what was learnt, or says why that cannot be done. `objects` (N, H, W) are the pixels of what should be pointed at,
    where that is known; an image without any plays no part.
    """

    answer: Answer
    images: Images
    targets: Integers
    maps: Mapping[str, Floats]
    remake: Remake
    unlearnt: Callable[[str], "Sequence[Unlearnt] | str"]
    objects: Flags | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        shape = self.images.shape[:3]
        for method, maps in self.maps.items():
            if maps.shape != shape:
                raise UsageError(f"the maps of {method} have the shape {maps.shape}; expected {shape}, as the images.")
        if self.objects is not None and self.objects.shape != shape:
            raise UsageError(f"objects have the shape {self.objects.shape}; expected {shape}, as the images.")


@dataclass(frozen=True)
class Verdict:
    """What a check says of a method: one of passed, failed, undecided and not done, and why in a sentence."""

    outcome: str
    reason: str

    @classmethod
    def of(cls, better: bool | None, reason: str) -> "Verdict":
        """Passed, failed, or undecided where the figures leave it open."""
        return cls(OPEN if better is None else PASSED if better else FAILED, reason)


@dataclass(frozen=True)
class Checked:
    """What a check found: one finding with a row per method, a verdict for each, and what it measured per image."""

    finding: Finding
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    measured: Mapping[str, Array] = field(default_factory=dict)


Check = Callable[[Explained], Checked | None]
EXPLANATION_CHECKS: Registry[Check] = Registry(
    "check of explanations",
    "linnaea.evidence.explanation.checks",
    title="Checks of explanations",
    use="Used by `linnaea explain --check`.",
)
"""Functions that look at `Explained` and return None where they have nothing to look at. Capabilities: `sanity`, a map
whose method fails it says so on its picture; `remakes`, how often it makes the maps of a method again."""


def judged(
    name: str, lead: str, words: Mapping[str, str], verdicts: Mapping[str, Verdict], rows: Rows, images: int
) -> Finding:
    """The finding of a check with a row per method: for each outcome there is, which methods it is true of.

    `words` say each outcome in words; a method that fails makes it a warning.
    """
    parts = []
    for outcome, said in words.items():
        methods = [title_of(method) for method, verdict in verdicts.items() if verdict.outcome == outcome]
        if methods:
            parts.append(f"{', '.join(methods)}: {said}")
    severity = "warning" if any(verdict.outcome == FAILED for verdict in verdicts.values()) else "info"
    summary = f"{lead} {'; '.join(parts)}."
    return Finding(f"explanation_{name}", summary, severity=severity, count=images, rows=rows)


def title_of(method: str) -> str:
    """The title of a method, or its name where none is registered so."""
    return EXPLAINERS.about(method).title if method in EXPLAINERS else method


def nothing_flat(maps: Floats, values: Floats) -> Floats:
    """The values (N,), not a number where the map (N, H, W) is flat."""
    from linnaea.evidence.explanation.checks.similarity import is_flat

    return np.where(is_flat(maps), np.nan, values)


def rounded(value: float | None) -> float | None:
    """A figure of a table, to four places."""
    return None if value is None else round(value, 4)
