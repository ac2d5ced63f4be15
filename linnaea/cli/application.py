"""What commands share: the application, arguments and ways to print."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import linnaea
from linnaea.cli.saying import say, say_text
from linnaea.errors import RunError, UsageError
from linnaea.runtime.arguments import (
    DEVICES,
    DUPLICATES,
    require_count,
    require_one_of,
    require_picture_size,
    require_seed,
    require_share,
    require_there,
)
from linnaea.runtime.neutral import in_json

app = typer.Typer(
    name="linnaea",
    help="A folder of images in, a classifier you can defend out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _source(_: str, given: Path) -> None:
    """Refuse what holds no labelled images before anything heavy is imported."""
    from linnaea.data.sources import find_source

    find_source(given)


def _run(_: str, folder: Path) -> None:
    """Refuse a run that is not there before anything heavy is imported."""
    if not folder.exists():
        raise RunError.missing(folder)


def _files(_: str, paths: Path | list[Path]) -> None:
    require_there(paths if isinstance(paths, list) else [paths])


def one_of(*known: str) -> Callable[[typer.CallbackParam, Any], Any]:
    """A callback of an option that refuses words that are not known."""
    return checked(partial(require_one_of, known))


def checked(require: Callable[[str, Any], None]) -> Callable[[typer.CallbackParam, Any], Any]:
    """A callback of an option or argument: a value that is given must be what `require` demands of it by name."""

    def check(option: typer.CallbackParam, given: Any) -> Any:
        if given is not None:
            require(_named(option), given)
        return given

    return check


def share(usual: float) -> Callable[[typer.CallbackParam, Any], Any]:
    """A callback of an option that refuses numbers which do not lie between 0 and 1; `usual` is an example."""
    return checked(partial(require_share, usual=usual))


def read_by(parse: Callable[[str], object]) -> Callable[[typer.CallbackParam, Any], Any]:
    """A callback of an option whose words must be what `parse` can read."""

    def require(name: str, given: str) -> None:
        try:
            parse(given)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None

    return checked(require)


def _seed(name: str, given: int) -> None:
    require_seed(given, name)


def _fit(name: str, given: str) -> None:
    from linnaea.data.images.decoding import FITS

    require_one_of(FITS, name, given)


def _splitter(given: str) -> object:
    from linnaea.data.splits import SPLITTERS

    return SPLITTERS[given]


def _named(option: typer.CallbackParam) -> str:
    """An option as it is written on the command line."""
    return option.opts[0]


Data = Annotated[
    Path,
    typer.Argument(
        help="Labelled images: a folder, a table of paths, an archive, a supported format, or a name such as hub:NAME.",
        callback=checked(_source),
    ),
]
ImageFiles = Annotated[
    list[Path], typer.Argument(help="Image files, or folders with image files.", callback=checked(_files))
]
OtherData = Annotated[
    Path | None,
    typer.Option(
        help="Labelled images to evaluate the run on. Default: its own test split.", callback=checked(_source)
    ),
]
Strangers = Annotated[
    Path | None,
    typer.Option(
        help="Images that show none of the classes, to measure how well they are recognised as unknown. Default: none.",
        callback=checked(_files),
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(help="The folder of a finished run, such as runs/birds.", callback=checked(_run))
]
Seed = Annotated[int, typer.Option(help="Seed for all random numbers.", callback=checked(_seed))]
Duplicates = Annotated[
    str,
    typer.Option(
        help="Which images must stay in one split: near (they look the same) or exact (the same bytes).",
        callback=one_of(*DUPLICATES),
    ),
]
SplitBy = Annotated[
    str,
    typer.Option(
        "--split-by",
        "--by",
        help="How to split: stratified (by class), time (by the `time` column) or iterative (by label).",
        callback=read_by(_splitter),
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--img-size",
        "--imgsz",
        help="Side of the square images, in pixels. Default: that of the weights, else by the size of the images.",
        callback=checked(require_picture_size),
    ),
]
Fit = Annotated[str, typer.Option(help="How an image becomes square: crop, pad or stretch.", callback=checked(_fit))]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        help="Do not decode images of more pixels than this. Default: 50000000, or the limit the run was trained with.",
        callback=checked(require_count),
    ),
]
Device = Annotated[str, typer.Option(help="Device to compute on: auto, cpu, cuda or mps.", callback=one_of(*DEVICES))]
Augment = Annotated[
    str | None, typer.Option(help="Augmentations, separated by commas, or none. Default: those that suit the data.")
]
GuardFormulas = Annotated[
    bool,
    typer.Option(
        "--guard-formulas/--no-guard-formulas",
        help="In CSV, put an apostrophe before cells that a spreadsheet would run as a formula. Default: on.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def _show_version(asked: bool) -> None:
    if asked:
        say(f"linnaea {linnaea.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A folder of images in, a classifier you can defend out."""


def names_in(text: str | None) -> list[str] | None:
    """The names in "a, b"; none in "none"."""
    if text is None:
        return None
    return [] if text == "none" else [name.strip() for name in text.split(",")]


def print_findings(findings: Sequence[Any], as_json: bool) -> None:
    """A line for each finding, or all as JSON."""
    if as_json:
        print_json([finding.to_json() for finding in findings])
        return
    for finding in findings:
        say(f"{finding.severity:8} {finding.name}: {finding.summary}")


def print_result(result: Any, as_json: bool) -> None:
    """What a verb found, in its own words or as JSON."""
    if as_json:
        print_json(result.to_json())
    else:
        say_text(str(result))


def print_json(content: Any) -> None:
    """What machines read."""
    typer.echo(in_json(json.dumps(content, indent=2, ensure_ascii=False)))
