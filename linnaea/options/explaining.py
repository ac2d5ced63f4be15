"""What is explained of answers, how, and how the explanations are checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.options.words import names_in


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Explaining(Options):
    """What is explained, how, and how the explanations are checked.

    `method` names explainers (None: Grad-CAM, or what the classifier allows), `target` the class to explain (None: the
    answer of each image). `layer` (None: found by a trial), `samples` (None: its own number) and `channel` are told to
    the methods. `concept` are pictures of what a class may depend on, compared with those `against` it (None: training
    images). `check` names checks of the maps ("all", "none"; None: those that cost little); `boxes` is a CSV file of
    where the object lies on photos. Of a folder or a split, `most` images are drawn.
    """

    title = "Explanations"

    method: Annotated[
        Sequence[str] | None,
        Option(
            "How, separated by commas: {names}. Default: Grad-CAM, or what the classifier allows.",
            checks.member("explainer", "linnaea.evidence.explanation"),
            names=checks.names("explainer", "linnaea.evidence.explanation"),
            read=names_in,
        ),
    ] = None
    target: Annotated[str | None, Option("Class to explain. Default: the answer of each image.")] = None
    layer: Annotated[
        str | None, Option("Layer of the network to look at. Default: the last with a map, as found by a trial.")
    ] = None
    samples: Annotated[
        int | None, Option("Draws, masks or steps of a method. Default: its own number.", checks.at_least(1, usual=50))
    ] = None
    channel: Annotated[
        int | None,
        Option("Channel of the layer to picture. Default: the class is pictured.", checks.at_least(0, usual=7)),
    ] = None
    concept: Annotated[
        str | Path | None,
        Option("Folder of pictures that have something in common, for tcav. Default: none.", checks.files, read=Path),
    ] = None
    against: Annotated[
        str | Path | None,
        Option("Folder of pictures that have not. Default: images of the training split.", checks.files, read=Path),
    ] = None
    check: Annotated[
        Sequence[str] | None,
        Option(
            "Checks of the maps, separated by commas: {names}, all or none. Default: randomisation (of 8 images), "
            "agreement, and pointing where boxes are given.",
            checks.member("check of explanations", "linnaea.evidence.explanation.checks", also=("all", "none")),
            names=checks.names("check of explanations", "linnaea.evidence.explanation.checks"),
            read=names_in,
        ),
    ] = None
    boxes: Annotated[
        str | Path | None,
        Option("CSV file path,left,top,right,bottom: where on photos the object lies. Default: none.", read=Path),
    ] = None
    most: Annotated[int, Option("Most images to explain of a folder or a split.", checks.at_least(1, "images", 16))] = (
        16
    )
