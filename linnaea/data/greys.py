"""How bright 16-bit grey is meant to be: cameras and scanners of 10, 12 or 14 bits write their values as they are."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from linnaea.data.decoding import MOST_PIXELS, WHITE, UnreadableError, open_image
from linnaea.data.pixels import LOOKED_AT, Recipe, fill_rows, read_content
from linnaea.runtime.containers import Located

logger = logging.getLogger("linnaea")
BITS = (8, 10, 12, 14)  # that values in 16 bits are known to have


def recipe_for(paths: Sequence[Located], size: int, fit: str = "crop", max_pixels: int | None = None) -> Recipe:
    """The recipe for a set of files: white is the highest value of as many bits as its 16-bit grey pictures use.

    One scale for the whole set, so that a dark picture stays dark; a recipe is kept with what was learnt by it, and is
    then the scale of pictures to come. `max_pixels` None is 50 megapixels.
    """
    recipe = Recipe(size, fit, MOST_PIXELS if max_pixels is None else max_pixels)
    if not any(_is_deep(path, recipe) for path in paths[:: max(1, len(paths) // LOOKED_AT)]):
        return recipe
    bits = _bits(paths, recipe)
    if bits is None:
        return recipe
    logger.info(f"The 16-bit grey images use {bits} bits: {2**bits - 1:,} is taken as white.")
    return Recipe(size, fit, recipe.max_pixels, 2**bits - 1)


def _is_deep(path: Located, recipe: Recipe) -> bool:
    try:
        with open_image(read_content(path), recipe.max_pixels) as image:
            return image.mode.startswith("I")
    except UnreadableError:
        return False  # decoding lists it with its reason


def _bits(paths: Sequence[Located], recipe: Recipe) -> int | None:
    """The fewest bits that hold every value of the 16-bit pictures; None for all 16, at the first that needs them."""
    highest = 0
    for start in range(0, len(paths), LOOKED_AT):
        part = paths[start : start + LOOKED_AT]
        found = [0] * len(part)

        def look(row: int, part: Sequence[Located] = part, found: list[int] = found) -> None:
            found[row] = max(_values(part[row], recipe), default=0)

        for _ in fill_rows(look, range(len(part))):
            pass
        highest = max(highest, *found)
        if highest >= 2 ** BITS[-1]:
            return None
    return next(bits for bits in BITS if highest < 2**bits) if highest else None


def _values(path: Located, recipe: Recipe) -> Iterator[int]:
    """The highest value of a 16-bit grey picture, if it is one."""
    try:
        with open_image(read_content(path), recipe.max_pixels) as image:
            if image.mode.startswith("I"):
                yield min(WHITE, int(np.asarray(image).max(initial=0)))
    except (OSError, ValueError, SyntaxError):
        return  # decoding lists it with its reason
