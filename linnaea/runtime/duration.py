"""Durations as people write them."""

import re

from linnaea.errors import UsageError

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str | float | None) -> float | None:
    """Seconds in "90", "90s", "10m", "1h30m", "1d" or a number; None stays None. Raises UsageError for others."""
    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", str(text).strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != str(text).strip().lower():
        raise UsageError(f"the duration is {text!r}; expected something like 90s, 10m or 1h30m.")
    seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise UsageError(f"the duration is {text!r}; expected more than 0 seconds.")
    return seconds


def spoken(seconds: float) -> str:
    """Seconds as people say them, roughly: `8 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
