"""How bright 16-bit grey is meant to be: cameras and scanners of 10, 12 or 14 bits write their values as they are."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from linnaea.data.images.bands import bands_in, read_bands
from linnaea.data.images.decoding import COLOUR, WHITE, white_of
from linnaea.data.images.opening import MOST_PIXELS, open_image
from linnaea.data.images.pixels import LOOKED_AT, Recipe, fill_rows, read_content
from linnaea.runtime.containers import Located

logger = logging.getLogger("linnaea")


def recipe_for(
    paths: Sequence[Located], size: int, fit: str = "crop", max_pixels: int | None = None, channels: int = COLOUR
) -> Recipe:
    """The recipe for a set of files: white is the highest value of as many bits as its 16-bit grey images or bands use.

    One scale for the whole set, so that a dark image stays dark; a recipe is kept with what was learnt by it, and is
    then the scale of images to come. `max_pixels` None is 50 megapixels.
    """
    recipe = Recipe(size, fit, MOST_PIXELS if max_pixels is None else max_pixels, channels=channels)
    if not any(_is_deep(path, recipe) for path in paths[:: max(1, len(paths) // LOOKED_AT)]):
        return recipe
    white = _white(paths, recipe)
    if white is not None and white < WHITE:
        logger.info(f"The 16-bit grey images use {white.bit_length()} bits: {white:,} is taken as white.")
    return replace(recipe, white=white)


def _is_deep(path: Located, recipe: Recipe) -> bool:
    try:
        content = read_content(path)
        if bands_in(content) is not None:
            return read_bands(content, recipe.max_pixels).dtype != np.uint8
        with open_image(content, recipe.max_pixels) as image:
            return image.mode.startswith("I")
    except (ImportError, ValueError):
        return False  # decoding lists it with its reason


def _white(paths: Sequence[Located], recipe: Recipe) -> int | None:
    """The white of all 16-bit images together, known at the first that needs all bits; None where all are black."""
    highest = 0
    for start in range(0, len(paths), LOOKED_AT):
        part = paths[start : start + LOOKED_AT]
        found = [0] * len(part)

        def look(row: int, part: Sequence[Located] = part, found: list[int] = found) -> None:
            found[row] = max(_values(part[row], recipe), default=0)

        for _ in fill_rows(look, range(len(part))):
            pass
        highest = max(highest, *found)
        if white_of(highest) == WHITE:
            break
    return white_of(highest) if highest else None


def _values(path: Located, recipe: Recipe) -> Iterator[int]:
    """The highest value of a 16-bit grey image, or of bands, if it is one."""
    try:
        content = read_content(path)
        if bands_in(content) is not None:
            yield min(WHITE, int(read_bands(content, recipe.max_pixels).max(initial=0)))
            return
        with open_image(content, recipe.max_pixels) as image:
            if image.mode.startswith("I"):
                yield min(WHITE, int(np.asarray(image).max(initial=0)))
    except (ImportError, OSError, ValueError, SyntaxError):
        return  # decoding lists it with its reason
