"""Numbers of bytes as people write them."""

import re

from linnaea.errors import UsageError

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_bytes(text: str) -> int:
    """A number of bytes from a text such as "500MB" or "1.5 GB" (powers of ten); raises UsageError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)?\s*", text.upper())
    if match is None:
        raise UsageError(f"{text!r} is not a size: expected something like 500MB or 20GB.")
    return int(float(match[1]) * UNITS[match[2] if match[2] and match[2] != "B" else ""])
