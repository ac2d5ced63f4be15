"""Where the paths in a table lead: relative to its folder, as its own absolute paths, with slashes of either kind."""

import logging
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from linnaea.data.sources.trees import Folder, Tree, under
from linnaea.runtime.containers.names import leads_outside
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")
Texts = npt.NDArray[np.object_]


def places_of(names: Sequence[str], tree: Tree, below: str, where: str) -> Texts:
    """The names relative to the folder of their table; what leads elsewhere stays as it is.

    Absolute paths into that folder are shortened. A path with backslashes is read as one with slashes where no file
    has it for its name.
    """
    inside = [_relative(name, tree, below) for name in names]
    shortened = sum(old != new for old, new in zip(names, inside, strict=True))
    if shortened:
        told = counted(shortened, "absolute path points", "absolute paths point")
        logger.info(f"{told} into the folder of {where}: read as relative to it.")
    windows = [name for name in dict.fromkeys(inside) if "\\" in name and not leads_outside(name)]
    there = tree.have([under(below, name) for name in windows])
    turned = {name: name.replace("\\", "/") for name, is_there in zip(windows, there, strict=True) if not is_there}
    if turned:
        count = sum(name in turned for name in inside)
        logger.info(f"{counted(count, 'path')} in {where} with backslashes, which are read as slashes.")
    places: Texts = np.array([turned.get(name, name) for name in inside], dtype=object)
    return places


def _relative(name: str, tree: Tree, below: str) -> str:
    """An absolute path into the table's folder as one relative to it; others as they are."""
    if not isinstance(tree, Folder) or not os.path.isabs(name):  # noqa: PTH117  quicker, for each row
        return name
    folder = tree.root / below
    for own in (os.path.abspath(folder), os.path.realpath(folder)):  # noqa: PTH100
        if name.startswith(own + os.sep):
            return name[len(own) + 1 :].replace(os.sep, "/")
    return name
