"""Structured pruning to half of the time, and a student of a fifth of the size, on real photos.

    python -m benchmarks compressed
    python -m benchmarks.compressed [NETWORKS [SIDE [EPOCHS]]]

Networks are fine-tuned on the clothing photos from ImageNet weights and compressed by `linnaea compress`: `prune` to
half of the time that an image takes, measured here, and `prune,distill` to a fifth of the size, with the run as its
teacher. Accuracy is compared on the same test images. On two cores it takes about ten minutes for one network.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import linnaea
from benchmarks.table import keep, photo_sets, weights_of
from linnaea.data.images.pixels import decode_files
from linnaea.experiments.compression.speed import speeds
from linnaea.run import Run

NETWORKS = ("mobilenetv2_100", "tf_efficientnet_lite0")
SIDE, EPOCHS = 128, 4
FASTER, SMALLER = 2.0, 5.0  # what is asked for: parts of the time, and of the size


def main(networks: Sequence[str] = NETWORKS[:1], side: int = SIDE, epochs: int = EPOCHS) -> None:
    """Two rows for each network."""
    with tempfile.TemporaryDirectory() as place:
        rows = [row for name in networks for row in of_network(name, Path(place) / name, side, epochs)]
    remarks = (
        f"Clothing photos at {side} pixels, fine-tuned for {epochs} epochs from ImageNet weights. The difference of "
        "accuracy is paired over the same test images, with 95 % limits, in points. Milliseconds are from one decoded "
        "image to its answer in PyTorch, both by turns."
    )
    keep("compressed", "Fewer channels, and a student", rows, remarks)


def of_network(name: str, place: Path, side: int, epochs: int) -> list[dict[str, str]]:
    classifier = linnaea.train(
        photo_sets() / "clothing", model=name, weights=weights_of(name), img_size=side, epochs=epochs, out=place
    )
    images = Run.open(place).dataset().split("val")
    shown = decode_files(images.paths[:1], classifier.recipe).images
    taken = speeds([classifier], [shown])[0].milliseconds
    asked = {
        f"prune to 1/{FASTER:g} of the time": (["prune"], f"{taken / FASTER:.3f}ms"),
        f"prune,distill to 1/{SMALLER:g} of the size": (
            ["prune", "distill"],
            f"{classifier.model.megabytes / SMALLER:.3f}MB",
        ),
    }
    rows = []
    for number, (told, (methods, target)) in enumerate(asked.items()):
        out = place.with_name(f"{place.name}-{number}")
        linnaea.compress(place, method=methods, target=target, max_drop=100, out=out)
        rows.append(row(name, told, out))
    return rows


def row(name: str, told: str, out: Path) -> dict[str, str]:
    found = {one["measure"]: one for one in Run.open(out).findings("compression")[0].rows}
    accuracy, size, time = (found[measure] for measure in ("accuracy", "megabytes", "milliseconds"))
    return {
        "network": name,
        "asked for": told,
        "accuracy": f"{accuracy['before']:.3f} to {accuracy['after']:.3f}",
        "points": f"{100 * accuracy['difference']:+.2f} ({100 * accuracy['lo']:+.2f} to {100 * accuracy['hi']:+.2f})",
        "MB": f"{size['before']:.2f} to {size['after']:.2f}",
        "ms": f"{time['before']:.2f} to {time['after']:.2f}",
        "times faster": f"{time['before'] / time['after']:.2f}",
        "times smaller": f"{size['before'] / size['after']:.2f}",
    }


if __name__ == "__main__":
    asked = sys.argv[1].split(",") if len(sys.argv) > 1 else NETWORKS[:1]
    main(asked, *map(int, sys.argv[2:4]))
