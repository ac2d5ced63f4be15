"""The audit of 10,000 images against decoding and embedding them once, and again after 1 % of files changed."""

import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.table import keep, photo_sets

COUNT = 10_000
CHANGED = 0.01


def main() -> None:
    """Both ratios, for the weights that LINNAEA_WEIGHTS names."""
    weights = os.environ["LINNAEA_WEIGHTS"]
    with tempfile.TemporaryDirectory() as place:
        folder, os.environ["LINNAEA_CACHE"] = Path(place) / "photos", str(Path(place) / "cache")
        make(folder)
        plain = decode_and_embed(folder, weights)
        first = audit(folder, weights)
        change(folder)
        again = audit(folder, weights)
    row = {
        "pictures": f"{COUNT:,}",
        "decode and embed once": f"{plain:.1f} s",
        "audit": f"{first:.1f} s",
        "ratio": f"{first / plain:.2f}",
        "audit after 1 % changed": f"{again:.1f} s",
        "faster": f"{first / again:.1f}x",
    }
    remarks = "Images: the clothing set and mirrored and brightened copies of it, until there are enough."
    keep("audit_speed", "The speed of the audit", [row], remarks)


def make(folder: Path) -> None:
    """10,000 files: the set as it is, then changed copies that are no near-duplicates."""
    sources = sorted((photo_sets() / "clothing").rglob("*.jpg"))
    for number in range(COUNT):
        source = sources[number % len(sources)]
        target = folder / source.parent.name / f"{number:05}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        if number < len(sources):
            shutil.copyfile(source, target)
            continue
        with Image.open(source) as image:
            turned = ImageOps.mirror(image) if number < 2 * len(sources) else ImageOps.flip(image)
            turned.convert("RGB").save(target, quality=90)
    past = time.time() - 3600
    for path in folder.rglob("*.jpg"):
        os.utime(path, (past, past))


def change(folder: Path) -> None:
    """Write 1 % of the files anew, darker."""
    paths = sorted(folder.rglob("*.jpg"))
    for row in np.random.default_rng(0).permutation(len(paths))[: round(CHANGED * len(paths))].tolist():
        with Image.open(paths[row]) as image:
            image.convert("RGB").point(lambda value: value * 0.8).save(paths[row])


def decode_and_embed(folder: Path, weights: str) -> float:
    """Seconds to decode every file and embed it by the fastest plan, and nothing else."""
    from linnaea.data.images.pixels import Recipe, decode_files
    from linnaea.models.embedding import embed, measure_embedding
    from linnaea.models.weights import read_weights

    found = read_weights(Path(weights))
    model = found.build(2, found.size)
    kept, os.environ["LINNAEA_CACHE"] = os.environ["LINNAEA_CACHE"], "none"
    started = time.perf_counter()
    images = decode_files(sorted(folder.rglob("*.jpg")), Recipe(found.size)).images
    embed(model, images, measure_embedding(model, images))
    seconds = time.perf_counter() - started
    os.environ["LINNAEA_CACHE"] = kept
    return seconds


def audit(folder: Path, weights: str) -> float:
    import linnaea

    started = time.perf_counter()
    linnaea.audit(folder, weights=weights)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
