"""What a model should come down to, as people write it: a time for an image, or a size."""

import re
from dataclasses import dataclass

from linnaea.errors import UsageError

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
MEGABYTES = {"kb": 1e-3, "mb": 1.0, "gb": 1e3}


@dataclass(frozen=True)
class Target:
    """Seconds for one image at the most, or 10^6 bytes of weights at the most; `text` is what was written."""

    text: str
    seconds: float | None = None
    megabytes: float | None = None


def parse_target(text: "str | Target") -> Target:
    """The target in "5ms", "0.02s" or "2MB"; raises UsageError for anything else."""
    if isinstance(text, Target):
        return text
    plain = str(text).strip()
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", plain.lower())
    number, unit = (float(found[1]), found[2]) if found else (0.0, "")
    if number > 0 and unit in SECONDS:
        return Target(plain, seconds=number * SECONDS[unit])
    if number > 0 and unit in MEGABYTES:
        return Target(plain, megabytes=number * MEGABYTES[unit])
    raise UsageError(f"the target is {text!r}; expected a time for one image, such as 5ms, or a size, such as 2MB.")
