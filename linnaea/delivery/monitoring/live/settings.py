"""How what is served is watched."""

from dataclasses import dataclass, field

from linnaea.delivery.monitoring.drift.testing import require_rate
from linnaea.delivery.monitoring.monitors.contract import RATE
from linnaea.errors import UsageError
from linnaea.statistics.sequential_alarms import Guarantee

SMALLEST = 20


@dataclass(frozen=True)
class WatchSettings:
    """`window` images are looked at together, and the last `windows` of them are kept.

    `rate` is that of false alarms: of each window, and of the tests that look after every image, for all time. These
    suspect a change without reason once in `run_length` images, and call it over after `quiet` images without it.
    `most_waiting` images may wait to be looked at; more are not looked at, and counted.
    """

    window: int = 500
    windows: int = 12
    rate: float = RATE
    run_length: float = 10_000.0
    quiet: int = 500
    most_waiting: int = 100_000
    seed: int = 0
    guarantee: Guarantee = field(init=False)

    def __post_init__(self) -> None:
        if self.window < SMALLEST:
            raise UsageError(f"a window has {self.window} images; expected {SMALLEST} or more, such as 500.")
        require_rate(self.rate)
        object.__setattr__(self, "guarantee", Guarantee(self.rate, self.run_length, self.quiet))
