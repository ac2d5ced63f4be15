"""Whether maps find what decides, for one network of each family with no layer named, and how soon they are there.

    python -m benchmarks explaining

Planted: smooth noise in which a striped square of a third of the side lies anywhere, or none does. Small networks of
each family, with random weights at first, learn from 512 images for a few dozen steps whether there is one. Pointed is
the share of 48 further images with a square where the highest value of the map is in it, or less than half a position
of the map away, which is all that a map of so few positions can tell (the pointing game of Zhang et al. 2018). Each
learns three times, from other images and other weights, because transformers do not always look where the square is.
The time is that of the whole command, with the start of Python and the reading of the bundle: the least of three.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.table import keep
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import Recipe
from linnaea.evidence.explanation import Settings, Subject, run_explainer
from linnaea.models.compact import Compact
from linnaea.models.lenet import LeNet5
from linnaea.models.network import Network
from linnaea.models.textbook import TextbookNetwork

CLASSES = ("none", "square")
LEARNT, ASKED, BATCH = 512, 48, 16
TRAININGS, SETTLED = 3, 128
METHODS = ("gradcam", "hirescam")
PHOTOS, TRIES = 16, 3
SHARE = 3  # of the side that the square takes: one third
OWN = {"compact": Compact, "lenet5": LeNet5, "textbook_cnn": TextbookNetwork}
SMALL_SWIN = {"embed_dim": 24, "depths": [2, 2, 2], "num_heads": [2, 2, 4]}
SMALL_VIT = {"embed_dim": 48, "depth": 3, "num_heads": 3, "patch_size": 8}


@dataclass(frozen=True)
class Small:
    """A small network of a family: its name, the side of its images, how it is made smaller, and how it learns."""

    name: str
    side: int
    steps: int
    rate: float
    arguments: dict[str, Any] = field(default_factory=dict)


FAMILIES = {
    "LeNet": Small("lenet5", 32, 200, 2e-3),
    "Conv-Pool-Dense": Small("textbook_cnn", 32, 40, 1e-3),
    "compact": Small("compact", 96, 40, 2e-3),
    "ResNet": Small("test_resnet", 128, 40, 2e-3),
    "SqueezeNet": Small("squeezenet1_1", 96, 60, 5e-4),
    "DenseNet": Small("densenet121", 64, 80, 2e-3, {"growth_rate": 8, "block_config": [2, 2, 2]}),
    "ShuffleNet": Small("shufflenet_v2_x0_5", 128, 50, 2e-3),
    "MobileNetV2": Small("mobilenetv2_035", 128, 80, 3e-3),
    "EfficientNet": Small("test_efficientnet", 128, 50, 3e-3),
    "VGG": Small("vgg11_bn", 64, 40, 5e-4),
    "ConvNeXt": Small("test_convnext", 128, 80, 2e-3),
    "Swin": Small("swin_tiny_patch4_window7_224", 112, 100, 1e-3, SMALL_SWIN),
    "MobileViT": Small("mobilevit_xxs", 128, 40, 2e-3),
    "ViT": Small("vit_tiny_patch16_224", 64, 200, 2e-3, SMALL_VIT),
    "DeiT": Small("deit_tiny_distilled_patch16_224", 64, 200, 2e-3, SMALL_VIT),
}


def planted(count: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, S, S, 3) of smooth noise, every second with a striped square; labels (N,); corners (N, 2)."""
    random, width = np.random.default_rng(seed), side // SHARE
    coarse = random.integers(60, 196, (count, side // 6, side // 6, 3), dtype=np.uint8)
    images = np.stack(
        [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in coarse]
    )
    labels, corners = np.arange(count) % 2, random.integers(0, side - width + 1, (count, 2))
    stripes = np.where(np.arange(width) // max(1, width // 8) % 2, 235, 20).astype(np.uint8)
    square = np.stack([np.tile(stripes, (width, 1)), np.full((width, width), 60), np.full((width, width), 200)], axis=2)
    for number in np.flatnonzero(labels):
        top, left = corners[number]
        images[number, top : top + width, left : left + width] = square
    return images, labels, corners


def made(small: Small, seed: int) -> Any:
    torch.manual_seed(seed)
    if small.name in OWN:
        return OWN[small.name](2, small.side)
    return Network.fitting(small.name, 2, small.side, arguments_of_body=small.arguments)


def learnt(small: Small, seed: int = 0) -> Subject:
    """The network after its few steps; batch normalisation has the statistics of all images in the end."""
    images, labels, _ = planted(LEARNT, small.side, 2 * seed)
    pixels, targets = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(labels)
    network = made(small, seed)
    if small.name == "compact":
        network.whiten(pixels[:64])
    optimizer = torch.optim.AdamW(network.parameters(), small.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, small.rate, total_steps=small.steps)
    random = torch.Generator().manual_seed(seed)
    network.train()
    for _ in range(small.steps):
        rows = torch.randint(0, LEARNT, (BATCH,), generator=random)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(pixels[rows]), targets[rows]).backward()
        optimizer.step()
        schedule.step()
    _settle(network, pixels[:SETTLED])
    classifier = Classifier(scorer_of(network.eval()), CLASSES, "binary", Recipe(small.side))
    return Subject(classifier)


@torch.no_grad()
def _settle(network: nn.Module, pixels: torch.Tensor) -> None:
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for part in pixels.split(2 * BATCH) if norms else ():
        network(part)


def pointed(small: Small, seed: int = 0) -> tuple[str, float, list[float]]:
    """The layer that was found, the share of right answers, and that of squares that each of `METHODS` points at."""
    subject = learnt(small, seed)
    images, labels, corners = planted(2 * ASKED, small.side, 2 * seed + 1)
    accuracy = float((subject.answer(images).argmax(axis=1) == labels).mean())
    shown, layer = labels == 1, subject.layer()
    maps = [run_explainer(method, subject, images[shown], labels[shown], Settings()).values for method in METHODS]
    tolerance = small.side / layer.grid / 2
    found = [float(hits(each, corners[shown], small.side // SHARE, tolerance).mean()) for each in maps]
    return str(layer), accuracy, found


def hits(maps: np.ndarray, corners: np.ndarray, width: int, tolerance: float) -> np.ndarray:
    """Whether the highest value of each map (N, S, S) lies in its square, or less than the tolerance away (N,)."""
    best = np.stack(np.unravel_index(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[1:]), axis=1)
    return ((best > corners - tolerance) & (best < corners + width + tolerance)).all(axis=1)


def seconds_of_command() -> float:
    """How long `linnaea explain` takes for 16 photos of 1024 x 768 pixels and MobileNetV2, each time a new process."""
    with tempfile.TemporaryDirectory() as place:
        folder, random = Path(place), np.random.default_rng(0)
        torch.manual_seed(0)
        network = Network("mobilenetv2_100", 2, 224).eval()
        Classifier(scorer_of(network), CLASSES, "binary", Recipe(224)).save(folder / "bundle")
        (folder / "photos").mkdir()
        for number in range(PHOTOS):
            coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
            coarse.resize((1024, 768), Image.Resampling.BICUBIC).save(folder / "photos" / f"{number}.jpg")
        return min(_seconds_of_one(folder, number) for number in range(TRIES))


def _seconds_of_one(folder: Path, number: int) -> float:
    words = [sys.executable, "-m", "linnaea", "explain", str(folder / "bundle"), str(folder / "photos")]
    environment = {**os.environ, "LINNAEA_CACHE": str(folder / f"cache-{number}")}
    started = time.perf_counter()
    subprocess.run(
        [*words, "--out", str(folder / f"out-{number}")], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def main() -> None:
    rows = []
    for family, small in FAMILIES.items():
        layers, accuracies, shares = zip(*(pointed(small, seed) for seed in range(TRAININGS)), strict=True)
        row = {"family": family, "network": small.name, "found": layers[0], "accuracy": f"{np.mean(accuracies):.3f}"}
        for method, each in zip(METHODS, zip(*shares, strict=True), strict=True):
            row[method] = f"{np.mean(each):.2f} ({', '.join(f'{share:.2f}' for share in each)})"
        rows.append(row)
        print(row, flush=True)
    seconds = seconds_of_command()
    told = f"`linnaea explain` of {PHOTOS} photos by Grad-CAM with MobileNetV2, from a cold start: {seconds:.1f} s."
    keep("explaining", "Grad-CAM and HiResCAM with no layer named, on planted squares", rows, told)


if __name__ == "__main__":
    main()
