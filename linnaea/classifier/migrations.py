"""Descriptions of earlier formats, brought to the one of today step by step; each step is kept for good."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from linnaea.data.images.decoding import WHITE
from linnaea.data.images.opening import MOST_PIXELS

if TYPE_CHECKING:
    from torch import Tensor

Content = dict[str, Any]
Tensors = dict[str, "Tensor"]
Migration = Callable[[Content, Tensors], tuple[Content, Tensors]]
EARLIER_BOUNDS = {"max_pixels": MOST_PIXELS, "white": WHITE}


def migrated(content: Content, tensors: Tensors, major: int) -> tuple[Content, Tensors]:
    """Description and tensors as the format of today has them; those of damaged files stay as wrong as they are."""
    for step in range(major, max(MIGRATIONS) + 1):
        content, tensors = MIGRATIONS[step](content, tensors)
    return content, tensors


def from_1_to_2(content: Content, tensors: Tensors) -> tuple[Content, Tensors]:
    """`model` becomes the argument of a scorer, `calibration` a calibrator and the shares of the classes.

    Bundles of the first days said nothing of shares of classes, and nothing of bounds of images.
    """
    content = dict(content)
    model, calibration, recipe = (content.pop(name, None) for name in ("model", "calibration", "recipe"))
    content["scorer"] = {"kind": "torch", "arguments": {"model": model}}
    if isinstance(calibration, Mapping):
        given = dict(calibration)
        content["class_shares"] = {"prior": given.pop("prior", []), "shift": given.pop("prior_shift", [])}
        content["calibrator"] = {"kind": given.pop("method", None), "arguments": given}
    if isinstance(recipe, Mapping) and not recipe.keys() & EARLIER_BOUNDS.keys():
        recipe = {**recipe, **EARLIER_BOUNDS}
    if recipe is not None:
        content["recipe"] = recipe
    return content, {re.sub("^model/", "scorer/", name): values for name, values in tensors.items()}


MIGRATIONS: dict[int, Migration] = {1: from_1_to_2}
