"""`models`: the networks there are, with what they cost, and which weights are at hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Option
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.experiments.network_list import NetworkList


@VERBS.register(
    "list_models",
    title="Models",
    meaning="List networks: parameters, multiply-adds, image size, licence, weights at hand, speed measured here.",
    order=71.5,
    command="models",
)
def list_models(
    pattern: Annotated[
        str | None,
        Option("Part of a name, or a pattern such as 'resnet*'. Default: one network of each family.", plain=True),
    ] = None,
    *,
    names: Annotated[bool, Option("Print the names alone, all of them.")] = False,
    folder: Annotated[
        str | Path | None, Option("Folder to look through for files of weights. Default: none.", read=Path)
    ] = None,
) -> "NetworkList":
    """The rungs, registered models and networks of timm and torchvision whose names match a pattern.

    Networks are counted without memory for their weights, and only as many as can be shown; `names` leaves that out,
    and lists all. Raises UsageError where no name matches.
    """
    from linnaea.experiments.network_list import list_networks

    return list_networks(pattern, names=names, folder=None if folder is None else Path(folder))
