"""From a folder of photos to batches of 224 pixels: timm's loader against Linnaea, first and later passes."""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.pairs import Paired, calibration, interleave
from benchmarks.table import keep, photo_sets
from linnaea.arrays import Images
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.models.model import as_pixels

SIZE, BATCH = 224, 64
SETS = ("hymenoptera", "clothing", "large")
LARGE = (120, 3000)  # photos, and the longer side of each in pixels


def main() -> None:
    """Each set, the two in turns."""
    with tempfile.TemporaryDirectory() as place:
        rows = [row(name, folder_of(name, Path(place))) for name in SETS]
    remarks = (
        f"Photos per second, batches of {BATCH} tensors of {SIZE} x {SIZE} pixels. timm: create_dataset, create_loader "
        "for evaluation (bicubic, crop_pct 1.0), 2 worker processes, which decodes at each pass. First: nothing is in "
        "the cache. Again: another run, pixels come from the cache. Later epochs: the same run, pixels are in memory. "
        f"Medians of five pairs, 95 % limits of the ratio. large: {LARGE[0]} photos of hymenoptera enlarged to "
        f"{LARGE[1]:,} pixels, as telephones take them. {calibration()}."
    )
    keep("decoding", "From a folder of photos to batches", rows, remarks)


def folder_of(name: str, place: Path) -> Path:
    if name != "large":
        return photo_sets() / name / "train"
    from PIL import Image

    target = place / "large" / "photos"
    target.mkdir(parents=True)
    for path in sorted((photo_sets() / "hymenoptera" / "train").rglob("*.jpg"))[: LARGE[0]]:
        with Image.open(path) as image:
            scale = LARGE[1] / max(image.size)
            image.convert("RGB").resize((round(image.width * scale), round(image.height * scale))).save(
                target / path.name, quality=92
            )
    return target.parent


def row(name: str, folder: Path) -> dict[str, Any]:
    """First pass, again from the cache, and later epochs, each against timm's loader."""
    paths = sorted(folder.rglob("*.jpg"))
    theirs = partial(timm_pass, folder)
    first = interleave(partial(uncached, paths), theirs)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LINNAEA_CACHE"] = cache
        again = interleave(partial(our_pass, paths), theirs)
        images = decode_files(paths, Recipe(SIZE)).images
        epochs = interleave(partial(batches, images), theirs)
    os.environ["LINNAEA_CACHE"] = "none"

    def speed(seconds: Any) -> str:
        return f"{len(paths) / np.median(seconds):,.0f}"

    def told(paired: Paired) -> str:
        return f"{speed(paired.ours)}, {paired.ratio}"

    return {
        "set": name,
        "photos": len(paths),
        "timm": speed(np.concatenate([first.theirs, again.theirs, epochs.theirs])),
        "first pass": told(first),
        "again": told(again),
        "later epochs": told(epochs),
    }


def timm_pass(folder: Path) -> None:
    from timm.data import create_dataset, create_loader

    loader = create_loader(
        create_dataset("", root=str(folder)), (3, SIZE, SIZE), BATCH, use_prefetcher=False, num_workers=2,
        interpolation="bicubic", crop_pct=1.0, device=torch.device("cpu"), persistent_workers=False,
    )  # fmt: skip
    for _ in loader:
        pass


def uncached(paths: list[Path]) -> None:
    """A pass that fills a cache of its own."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LINNAEA_CACHE"] = cache
        our_pass(paths)


def our_pass(paths: list[Path]) -> None:
    batches(decode_files(paths, Recipe(SIZE)).images)


def batches(images: Images) -> None:
    for start in range(0, len(images), BATCH):
        as_pixels(torch.from_numpy(images[start : start + BATCH]), torch.channels_last)


if __name__ == "__main__":
    main()
