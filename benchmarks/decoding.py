"""From a folder of photos to batches of 224 pixels: timm's loader against Linnaea, first and later passes."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.table import keep, photo_sets

SIZE, BATCH, PAIRS = 224, 64, 5
SETS = ("hymenoptera", "clothing")


def main() -> None:
    """Each set, the two interleaved, medians with the range of the ratio."""
    rows = []
    for name in SETS:
        folder = photo_sets() / name / "train"
        count = len(list(folder.rglob("*.jpg")))
        theirs, first, later = [], [], []
        for turn in range(PAIRS):
            with tempfile.TemporaryDirectory() as place:
                os.environ["LINNAEA_CACHE"] = place
                order = [(theirs, timm_pass), (first, our_pass)]
                for kept, run in order if turn % 2 == 0 else order[::-1]:
                    kept.append(timed(run, folder))
                later.append(timed(our_pass, folder))
        ratios = {key: np.array(theirs) / np.array(own) for key, own in (("first", first), ("later", later))}
        rows.append(
            {
                "set": name,
                "photos": count,
                "timm": f"{count / np.median(theirs):.0f}/s",
                "linnaea, first pass": f"{count / np.median(first):.0f}/s",
                "ratio": spread(ratios["first"]),
                "linnaea, later passes": f"{count / np.median(later):.0f}/s",
                "later ratio": spread(ratios["later"]),
            }
        )
    remarks = (
        f"Batches of {BATCH} tensors of {SIZE} x {SIZE} pixels. timm: create_dataset and create_loader for evaluation "
        "(bicubic, crop_pct 1.0), 2 worker processes. Medians of five interleaved pairs, the range of the ratio."
    )
    keep("decoding", "From a folder of photos to batches", rows, remarks)


def spread(ratio: np.ndarray) -> str:
    return f"{np.median(ratio):.1f}x ({ratio.min():.1f} to {ratio.max():.1f})"


def timed(run: Callable[[Path], None], folder: Path) -> float:
    started = time.perf_counter()
    run(folder)
    return time.perf_counter() - started


def timm_pass(folder: Path) -> None:
    import torch
    from timm.data import create_dataset, create_loader

    loader = create_loader(
        create_dataset("", root=str(folder)), (3, SIZE, SIZE), BATCH, use_prefetcher=False, num_workers=2,
        interpolation="bicubic", crop_pct=1.0, device=torch.device("cpu"), persistent_workers=False,
    )  # fmt: skip
    for _ in loader:
        pass


def our_pass(folder: Path) -> None:
    import torch

    from linnaea.data.pixels import Recipe, decode_files
    from linnaea.models.model import to_pixels

    images = decode_files(sorted(folder.rglob("*.jpg")), Recipe(SIZE)).images
    for start in range(0, len(images), BATCH):
        to_pixels(torch.from_numpy(images[start : start + BATCH]))


if __name__ == "__main__":
    main()
