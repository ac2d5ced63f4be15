"""How long the features of the classical pipelines take on small images."""

import time
from typing import Any

import numpy as np

from benchmarks.table import keep, photo_sets
from linnaea import read
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.models.classical.features import FEATURES
from linnaea.models.classical.pipeline import Classical
from linnaea.models.embedding import embed

IMAGES, SIDE, CLASSES = 10_000, 32, 10


def main() -> None:
    """Every registered feature on 10,000 images of CIFAR-10, decoded before."""
    paths = read(photo_sets() / "cifar10").paths
    images = decode_files(paths[:: len(paths) // IMAGES][:IMAGES], Recipe(SIDE)).images
    rows = [measured(name, images) for name in FEATURES]
    remarks = f"{IMAGES:,} images of CIFAR-10, {SIDE} pixels wide, decoded before. The aim was under 60 seconds each."
    keep("classical_speed", "Classical features of ten thousand small images", rows, remarks)


def measured(name: str, images: Any) -> dict[str, Any]:
    """One row: how many numbers, and how long they took."""
    model = Classical(CLASSES, SIDE, name)
    started = time.perf_counter()
    features = embed(model, images)
    seconds = time.perf_counter() - started
    return {"feature": name, "numbers per image": int(np.shape(features)[1]), "seconds": f"{seconds:.1f}"}


if __name__ == "__main__":
    main()
