"""Which tokens of a transformer stand for places of the image."""

import math

MOST_PREFIX = 8  # tokens before those of places, where the network does not say how many


def places_in(length: int, prefix: int) -> tuple[int, int] | None:
    """Of so many tokens, how many come before those of places, and the side of the square of these; None for no square.

    `prefix` is tried first, then no such token, one, and so on.
    """
    for before in (prefix, *range(MOST_PREFIX + 1)):
        side = math.isqrt(max(0, length - before))
        if side > 1 and side * side == length - before:
            return before, side
    return None
