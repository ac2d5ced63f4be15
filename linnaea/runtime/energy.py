"""The energy that the processor has taken, where the machine tells it: by the counters of its packages (RAPL)."""

from collections.abc import Callable
from pathlib import Path

PLACE = Path("/sys/class/powercap")
COUNTERS = "*-rapl:[0-9]*"
MICROJOULES = 1e-6


def joules_of(work: Callable[[], object], place: Path = PLACE) -> float | None:
    """The joules that all processor packages took while `work` was done; None where no counter can be read.

    Whatever else runs meanwhile is counted as well. Counters that began anew are set right once.
    """
    before = _counters(place)
    work()
    after = _counters(place)
    if not before or before.keys() != after.keys():
        return None
    return MICROJOULES * sum(_passed(counter, before[counter], after[counter]) for counter in before)


def _counters(place: Path) -> dict[Path, int]:
    """What each package says, without the parts of packages, which lie one deeper and are counted with them."""
    found: dict[Path, int] = {}
    for counter in sorted(place.glob(COUNTERS)):
        if counter.name.count(":") == 1 and (value := _number(counter / "energy_uj")) is not None:
            found[counter] = value
    return found


def _passed(counter: Path, before: int, after: int) -> int:
    return after - before if after >= before else after - before + (_number(counter / "max_energy_range_uj") or 0)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
