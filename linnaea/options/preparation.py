"""How images are prepared: their size and shape, which belong together, how they are split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from linnaea.data.images.fits import FITS
from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.runtime.arguments import DUPLICATES, require_channels, require_count, require_picture_size, require_seed


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Preparation(Options):
    """How images are prepared.

    `img_size` is in pixels (None: what the weights or the images suggest), `fit` crop, pad or stretch, `channels` the
    number of channels. Images of more than `max_pixels` (None: 50 megapixels, or as in training) are not decoded.
    `duplicates` "near" or "exact" says which images must stay in one split, `split_by` names a splitter, `split_seed`
    is its seed (None: that of the training). `datasheet` is a file of what the owner knows about the data (None:
    `datasheet.toml` beside the images, if it is there). With `stream` pixels are never kept.
    """

    title = "Preparation of the images"

    img_size: Annotated[
        int | None,
        Option(
            "Side of the square images, in pixels. Default: that of the weights, else by the size of the images.",
            require_picture_size,
            flags=("--img-size", "--imgsz"),
        ),
    ] = None
    fit: Annotated[str, Option("How an image becomes square: crop, pad or stretch.", checks.one_of(*FITS))] = "crop"
    channels: Annotated[
        int,
        Option(
            "Channels of the images: 3 (colours), 1 (grey), 4 (colours and alpha), or the bands of TIFF files.",
            lambda name, given: require_channels(name, given),
        ),
    ] = 3
    max_pixels: Annotated[
        int | None,
        Option(
            "Do not decode images of more pixels than this. Default: 50000000, or the limit the run was trained with.",
            require_count,
        ),
    ] = None
    duplicates: Annotated[
        str,
        Option(
            "Which images must stay in one split: near (they look the same) or exact (the same bytes).",
            checks.one_of(*DUPLICATES),
        ),
    ] = "near"
    split_by: Annotated[
        str,
        Option(
            "How to split, by classes, labels or the `time` column: {names}.",
            checks.member("splitter", "linnaea.data.splits"),
            names=checks.names("splitter", "linnaea.data.splits"),
            flags=("--split-by", "--by"),
        ),
    ] = "stratified"
    split_seed: Annotated[
        int | None,
        Option("Seed for the splits alone. Default: that of --seed.", lambda name, given: require_seed(given, name)),
    ] = None
    datasheet: Annotated[
        str | Path | None,
        Option(
            "File with what people know about the data. Default: datasheet.toml beside the images, if any.", read=Path
        ),
    ] = None
    stream: Annotated[
        bool,
        Option("Decode images whenever they are looked at, as is done anyway where their pixels find no room."),
    ] = False
