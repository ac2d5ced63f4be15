"""What verbs are about: labelled images, image files, runs; and options that stand in no group."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import checks
from linnaea.options.option import Option
from linnaea.options.words import names_in
from linnaea.runtime.arguments import DAMAGED

if TYPE_CHECKING:
    from linnaea.classifier import Classifier
    from linnaea.dataset import Dataset
    from linnaea.predictions import Predictions
    from linnaea.run import Run

Labelled = Annotated[
    "str | Path | Dataset",
    Option(
        "Labelled images: a folder, a table of paths, an archive, a supported format, or a name such as hub:NAME.",
        checks.source,
        read=Path,
    ),
]
Also = Annotated[
    "Sequence[str | Path | Dataset]",
    Option(
        "Further labelled images, such as the folder of a review; an image that both have gets the label from there. "
        "May be repeated.",
        checks.each_source,
        read=Path,
        repeated=True,
    ),
]
OtherLabelled = Annotated[
    "str | Path | Dataset | None",
    Option("Labelled images to evaluate the run on. Default: its own test split.", checks.source, read=Path),
]
ImageFiles = Annotated[
    "str | Path | Dataset | Sequence[str | Path]",
    Option("Image files, or folders with image files.", checks.files, read=Path, many=True),
]
UnknownImages = Annotated[
    "str | Path | Sequence[str | Path] | None",
    Option(
        "Images that show none of the classes, to measure how well they are recognised as unknown. Default: none.",
        checks.files,
        read=Path,
    ),
]
RunFolder = Annotated[
    "str | Path | Run",
    Option("The folder of a finished run, such as runs/birds.", checks.run, read=Path, metavar="RUN"),
]
Answering = Annotated[
    "Classifier | Run | str | Path",
    Option("The folder of a run, a bundle or an export, such as runs/birds.", checks.run, read=Path, metavar="RUN"),
]
BundleFolder = Annotated[
    "str | Path | Run",
    Option("The folder of a run, a bundle or an export.", checks.run, read=Path, metavar="RUN"),
]
Judged = Annotated[
    "Classifier | Run | Predictions | str | Path",
    Option(
        "The folder of a run, a bundle or an export, such as runs/birds, or a file of predictions.",
        checks.run,
        read=Path,
        metavar="RUN",
    ),
]
GuardFormulas = Annotated[
    bool,
    Option(
        "In CSV, put an apostrophe before cells that a spreadsheet would run as a formula. Default: on.",
        flags=("--guard-formulas/--no-guard-formulas",),
    ),
]
Loggers = Annotated[
    Sequence[str],
    Option(
        "Where else to log, separated by commas: {names}. Default: nowhere.",
        checks.installed("logger", "linnaea.delivery.loggers"),
        names=checks.names("logger", "linnaea.delivery.loggers"),
        read=names_in,
    ),
]
Damaged = Annotated[
    str,
    Option("What to do with damaged images: refuse them, or answer from what is left.", checks.one_of(*DAMAGED)),
]
Trusted = Annotated[
    Sequence[str | Path],
    Option(
        "File of a public key, .pub, that must have signed the classifier. May be repeated. Default: those that "
        "LINNAEA_TRUST names, if any.",
        read=Path,
        repeated=True,
    ),
]
PlaceTag = Annotated[str, Option("Tag that says which version is in use.")]
AsJson = Annotated[bool, Option("Print JSON instead of text.", flags=("--json",))]
