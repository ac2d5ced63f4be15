"""The networks of the field by their usual names, from scratch, on one set under one small budget."""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.table import keep, photo_sets
from linnaea.runtime.containers.idx import read_idx

NETWORKS = (
    "lenet5",
    "textbook_cnn",
    "alexnet",
    "vgg11",
    "googlenet",
    "inception_v3",
    "resnet18",
    "densenet121",
    "efficientnet_b0",
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224",
    "mobilevit_xxs",
)
EPOCHS, BATCH = 4, 64
PER_CLASS = 150


def main() -> None:
    """Train each network for as many epochs, and say what the sealed test split says of it."""
    with tempfile.TemporaryDirectory() as place:
        images = drawn(photo_sets() / "fashion-mnist", Path(place) / "images")
        rows = [measured(name, images, Path(place) / name) for name in NETWORKS]
    remarks = (
        f"Fashion-MNIST, {PER_CLASS} images of each of the ten classes, 28 pixels wide; `linnaea train IMAGES --model "
        f"NAME --weights none --duplicates exact --epochs {EPOCHS} --batch-size {BATCH}`, on one thread. Chance is "
        "10 %; so few steps show that a network learns, not how well it would."
    )
    keep("networks", "Every network on one set under one small budget", rows, remarks)


def drawn(source: Path, folder: Path) -> Path:
    """The first images of each class, in a folder of its name."""
    pixels = read_idx(source / "train-images-idx3-ubyte.gz", 3)
    labels = read_idx(source / "train-labels-idx1-ubyte.gz", 1)
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for row in np.flatnonzero(labels == label)[:PER_CLASS]:
            Image.fromarray(np.asarray(pixels[row])).save(folder / str(label) / f"{row}.png")
    return folder


def measured(name: str, images: Path, run: Path) -> dict[str, Any]:
    """One row: accuracy, epochs, images per second, parameters."""
    words = ["train", images, "--model", name, "--weights", "none", "--epochs", EPOCHS, "--batch-size", BATCH]
    command = [sys.executable, "-m", "linnaea", *map(str, words), "--duplicates", "exact", "--out", str(run)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    accuracy = json.loads((run / "metrics.json").read_text())["test"]["accuracy"]
    with (run / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    train = sum(1 for _ in images.rglob("*.png")) * 0.7
    return {
        "network": name,
        "test accuracy": f"{accuracy['value']:.1%} ({accuracy['lo']:.1%} to {accuracy['hi']:.1%})",
        "epochs": len(history),
        "training loss": f"{float(history[0]['train_loss']):.2f} to {float(history[-1]['train_loss']):.2f}",
        "images per second": round(train * len(history) / float(history[-1]["seconds"])),
        "parameters": parameters(name),
    }


def parameters(name: str) -> str:
    """How many, in millions."""
    told = subprocess.run([sys.executable, "-m", "linnaea", "models", name, "--json"], check=True, capture_output=True)
    count = next(entry["parameters"] for entry in json.loads(told.stdout) if entry["name"] == name)
    return f"{count / 1e6:.2f} M"


if __name__ == "__main__":
    main()
