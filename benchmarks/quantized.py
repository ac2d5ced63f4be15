"""Static integers: what they lose on real photos, how fast they answer from files, and how small they are.

    python -m benchmarks quantized
    python -m benchmarks.quantized [IMAGES TO TIME [BACKENDS]]

MobileNetV2 and EfficientNet-Lite0 are trained by their heads on the clothing photos and compressed; ResNet-18 has
random weights and is only timed. PyTorch is timed as it is usually written: files opened by Pillow, the network in
float32 as it comes from timm, in batches of 16, with the same threads.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import linnaea
from benchmarks.table import keep, photo_sets, weights_of
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import scorer_of
from linnaea.data.images.pixels import decode_files
from linnaea.delivery.compression.wholes import in_integers
from linnaea.models.network import Network
from linnaea.run import Run

WEIGHTS = {"MobileNetV2": "mobilenetv2_100", "EfficientNet-Lite0": "tf_efficientnet_lite0"}
BACKENDS = ("openvino", "onnx")
TIMED, TURNS, BATCH, SIDE = 192, 3, 16, 224
RANGED = 100  # images that tell the ranges of the network with random weights


def main(timed: int = TIMED, backends: Sequence[str] = BACKENDS) -> None:
    """A row for each network and runtime."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for name, file in WEIGHTS.items():
            rows += of_network(name, weights_of(file), Path(place) / file, timed, backends)
        rows += of_random(Path(place), timed, backends)
    remarks = (
        "Clothing photos, at 224 pixels, a frozen body with a fitted head; the difference of accuracy is paired over "
        "the same test images, with 95 % limits, in points. Images per second are from files on disk to answers, the "
        f"fastest of {TURNS} turns over {timed} files, each way by turns."
    )
    keep("quantized", "Static integers", rows, remarks)


def of_network(name: str, weights: Path, place: Path, timed: int, backends: Sequence[str]) -> list[dict[str, str]]:
    classifier = linnaea.train(photo_sets() / "clothing", model="frozen", weights=weights, img_size=SIDE, out=place)
    files = [str(path) for path in Run.open(place).dataset().split("test").paths[:timed]]
    made = {}
    for backend in backends:
        out = place.with_name(f"{place.name}-{backend}")
        made[backend] = linnaea.compress(place, backend=backend, max_drop=100, out=out), out
    ways = {"eager": eager(classifier.model, files), "linnaea": lambda: classifier.predict(files)}
    ways |= {backend: answering(one, files) for backend, (one, _) in made.items()}
    speed = by_turns(ways, len(files))
    return [row(name, backend, out, speed) for backend, (_, out) in made.items()]


def row(name: str, backend: str, out: Path, speed: dict[str, float]) -> dict[str, str]:
    found = {one["measure"]: one for one in Run.open(out).findings("compression")[0].rows}
    accuracy = found["accuracy"]
    return {
        "network": name,
        "runtime": backend,
        "accuracy": f"{accuracy['before']:.3f} to {accuracy['after']:.3f}",
        "points": f"{100 * accuracy['difference']:+.2f} ({100 * accuracy['lo']:+.2f} to {100 * accuracy['hi']:+.2f})",
        "MB": f"{found['megabytes']['before']:.1f} to {found['megabytes']['after']:.1f}",
        **told(speed, backend),
    }


def told(speed: dict[str, float], backend: str) -> dict[str, str]:
    return {
        "images/s": f"{speed[backend]:.0f}",
        "eager float32": f"{speed['eager']:.0f}",
        "times eager": f"{speed[backend] / speed['eager']:.1f}",
        "Linnaea float32": f"{speed['linnaea']:.0f}",
    }


def of_random(place: Path, timed: int, backends: Sequence[str]) -> list[dict[str, str]]:
    """ResNet-18 with random weights, made into integers by photos all the same."""
    torch.manual_seed(0)
    network = Network("resnet18", 10, SIDE).eval()
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):  # timm begins with branches that are 0, which cost nothing to keep
            norm.weight.data.fill_(1)
    known = linnaea.load(place / WEIGHTS["MobileNetV2"])
    dataset = Run.open(place / WEIGHTS["MobileNetV2"]).dataset()
    classifier = Classifier(scorer_of(network), tuple(map(str, range(10))), "multiclass", known.recipe)
    some = dataset.split("train").take(list(range(RANGED)))
    images = decode_files(some.paths, known.recipe).images
    files = [str(path) for path in dataset.split("test").paths[:timed]]
    ways = {"eager": eager(network, files), "linnaea": lambda: classifier.predict(files)}
    made = {one: in_integers(classifier, one, images) for one in backends}
    speed = by_turns(ways | {name: answering(one, files) for name, one in made.items()}, len(files))
    return [
        {
            "network": "ResNet-18, random",
            "runtime": backend,
            "accuracy": "",
            "points": "",
            "MB": f"{network.megabytes:.1f} to {one.model.megabytes:.1f}",
            **told(speed, backend),
        }
        for backend, one in made.items()
    ]


def answering(classifier: Classifier, files: Sequence[str]) -> Callable[[], object]:
    return lambda: classifier.predict(files)


def eager(model: torch.nn.Module, files: Sequence[str]) -> Callable[[], object]:
    """As most people write it."""
    mean, std = (getattr(model, name).float() for name in ("mean", "std"))

    def one(file: str) -> torch.Tensor:
        with Image.open(file) as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255

    @torch.no_grad()
    def run() -> torch.Tensor:
        parts = []
        for start in range(0, len(files), BATCH):
            pixels = (torch.stack([one(file) for file in files[start : start + BATCH]]) - mean) / std
            parts.append(model.classifier(model.body(pixels)).softmax(dim=1))
        return torch.cat(parts)

    return run


def by_turns(ways: dict[str, Callable[[], object]], count: int) -> dict[str, float]:
    """Images per second of each way, the fastest of some turns."""
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(TURNS + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if turn:
                best[name] = min(best[name], time.perf_counter() - started)
    return {name: count / seconds for name, seconds in best.items()}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TIMED, sys.argv[2].split(",") if len(sys.argv) > 2 else BACKENDS)
