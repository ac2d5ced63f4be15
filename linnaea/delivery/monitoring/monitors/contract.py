"""The contract of a monitor: from what was seen, window by window, to findings.

    @MONITORS.register("drift", title="Drift", meaning="...", order=10)
    def drift(watched: Watched) -> Sequence[Finding]: ...

A finding of the severity `ALARM` is an alarm: `linnaea monitor` then ends with exit code 1. A warning says what
could not be looked at, and why. A finding whose rows have `window` and `value`, and maybe `lo`, `hi` and `limit`, is
drawn over the windows; `images` of a finding are those of `Seen.images`, and are shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from linnaea.decisions import Policy
from linnaea.delivery.monitoring.seen import Seen
from linnaea.finding import Finding
from linnaea.registry import Registry

ALARM = "error"  # the severity of an alarm
RATE = 0.01  # of false alarms that is accepted, for each window


@dataclass(frozen=True, eq=False)
class Window:
    """Images that came one after the other; `name` is what people call it, `start` and `end` its times or None."""

    name: str
    seen: Seen
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, eq=False)
class Watched:
    """A classifier by its `classes`, `task` and `policy`, the images it was judged on, and those that came since.

    `rate` is the share of windows in which nothing changed that may be called changed, of all that one monitor says of
    a window together. `facts` are what else is known, by name, such as `late_labels`.
    """

    classes: tuple[str, ...]
    task: str
    policy: Policy
    reference: Seen
    windows: Sequence[Window]
    rate: float = RATE
    seed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


Monitor = Callable[[Watched], Sequence[Finding]]
MONITORS: Registry[Monitor] = Registry(
    "monitor",
    "linnaea.delivery.monitoring.monitors",
    title="Monitors",
    use="Run by `linnaea monitor`; each says what it found in every window.",
)
