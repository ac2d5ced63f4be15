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
EARLIER_SETS = {"set_penalty": 0.0, "set_free": 0}
EARLIER_BOUNDS = {"max_pixels": MOST_PIXELS, "white": WHITE}


def migrated(content: Content, tensors: Tensors, version: tuple[int, int]) -> tuple[Content, Tensors]:
    """Description and tensors as the format of today has them; those of damaged files stay as wrong as they are."""
    for step, migration in MIGRATIONS.items():
        if step >= version:
            content, tensors = migration(content, tensors)
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


def from_2_0_to_2_1(content: Content, tensors: Tensors) -> tuple[Content, Tensors]:
    """There was one way to make prediction sets for one label per image, and one for several."""
    policy = content.get("policy")
    if isinstance(policy, Mapping):
        sets = "risk" if content.get("task") == "multilabel" else "lac"
        content = {**content, "policy": {"sets": sets, "set_thresholds": [], **EARLIER_SETS, **policy}}
    return content, tensors


MIGRATIONS: dict[tuple[int, int], Migration] = {(1, 0): from_1_to_2, (2, 0): from_2_0_to_2_1}
