"""Planted copies among 10,000 images: re-encoded, resized, cropped and brightened."""

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.table import keep, photo_sets
from linnaea.data.duplicates.grouping import duplicate_groups, thumbnail_of
from linnaea.data.duplicates.sameness import at_own_size
from linnaea.data.images.decoding import read_rgb

KINDS = ("re-encoded", "resized", "cropped", "brightness")
BASE, COPIES = 9_000, 1_000


def main() -> None:
    """Plant copies of each kind and look for them: recall, and precision over pairs."""
    paths = pictures()
    sources = np.random.default_rng(0).permutation(BASE)[:COPIES]

    def show(row: int) -> Image.Image:
        if row < BASE:
            return picture(paths[row])
        number = row - BASE
        return changed(picture(paths[sources[number]]), KINDS[number % 4], np.random.default_rng(number))

    def look(row: int) -> "np.ndarray":
        return at_own_size(show(row), "stretch")

    images = np.stack([thumbnail_of(show(row)) for row in range(BASE + COPIES)])
    started = time.process_time()
    groups, _ = duplicate_groups(images, [str(number) for number in range(len(images))], look)
    seconds = time.process_time() - started
    found = groups[sources] == groups[BASE:]
    own, _ = duplicate_groups(images[:BASE], [str(number) for number in range(BASE)], look)
    pairs = pairs_in(groups) - pairs_in(own)
    expected = int(found.sum())
    rows = [
        {"planted": kind, "copies": int((np.arange(COPIES) % 4 == number).sum()),
         "recall": f"{found[number::4].mean():.3f}"} for number, kind in enumerate(KINDS)
    ]  # fmt: skip
    false = pairs_in(own)
    rows.append({"planted": "all", "copies": COPIES, "recall": f"{found.mean():.3f}"})
    remarks = (
        f"Images: clothing, hymenoptera, coco256 and CIFAR-10, {BASE:,} of them, and {COPIES:,} copies, in "
        f"{seconds:.0f} s of processor time. Precision {expected / (expected + false):.3f} of {expected + false} "
        f"pairs, if each of the {false} pairs found among the originals were false (some are true repeats in these "
        f"sets; {pairs} pairs came with the copies). Re-encoded at JPEG quality 30 to 80, resized by 0.4 to 2, cropped "
        "by up to 6 % on each side, brightness times 0.75 to 1.3."
    )
    keep("near_duplicates", "Near-duplicates among 10,000 pictures", rows, remarks)


def pairs_in(groups: "np.ndarray") -> int:
    """How many pairs of images share a group."""
    sizes = np.bincount(groups)
    return int((sizes * (sizes - 1) // 2).sum())


def pictures() -> list[Path]:
    """Photos first, then small images, up to 9,000."""
    root = photo_sets()
    photos = [path for name in ("clothing", "hymenoptera", "coco256") for path in sorted((root / name).rglob("*.jpg"))]
    small = sorted((root / "cifar10" / "test").rglob("*.*"))
    order = np.random.default_rng(1).permutation(len(small))
    return [*photos, *(small[row] for row in order)][:BASE]


def picture(path: Path) -> Image.Image:
    return read_rgb(path, 256)


def changed(image: Image.Image, kind: str, generator: np.random.Generator) -> Image.Image:
    width, height = image.size
    if kind == "re-encoded":
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(generator.integers(30, 80)))
        return Image.open(buffer).convert("RGB")
    if kind == "resized":
        scale = generator.uniform(0.4, 2)
        return image.resize((max(8, int(width * scale)), max(8, int(height * scale))), Image.Resampling.BILINEAR)
    if kind == "cropped":
        left, top, right, bottom = generator.uniform(0, 0.06, 4)
        box = (int(width * left), int(height * top), int(width * (1 - right)), int(height * (1 - bottom)))
        return image.crop(box)
    return ImageEnhance.Brightness(image).enhance(generator.uniform(0.75, 1.3))


if __name__ == "__main__":
    main()
