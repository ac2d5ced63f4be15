"""From files to answers with exported folders, against PyTorch eager in fp32, and against the runtime given tensors."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.pairs import Apart, Paired, calibration, in_turns
from benchmarks.table import keep, photo_sets
from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.delivery.exporters import Order, export
from linnaea.models.network import Network

NETWORKS = ("resnet18", "mobilenetv2_100")
ASKED = (("onnx", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"), ("pt2", "fp32"), ("pt2", "bf16"))
COUNT, CLASSES, SIZE, BATCH, ROUNDS = 128, 10, 224, 32, 7


def main() -> None:
    """Each network and format in turns with eager PyTorch, each in a process of its own."""
    rows = [found for network in NETWORKS for found in measured(network)]
    remarks = (
        f"{COUNT} photos at {SIZE} pixels, random weights, from files to answers by `Classifier.predict`, and from "
        f"decoded images by `Classifier.score`. Eager: torch in fp32, batches of {BATCH}, Pillow, one image after the "
        "other, as in a plain script. Share of the runtime: the time that decoding and runtime take by themselves, "
        f"over that from files to answers. {ROUNDS} rounds in turns. {calibration()}."
    )
    keep("export_speed", "Exported folders from files to answers", rows, remarks)


def measured(network: str) -> list[dict[str, Any]]:
    """The rows of one network."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        paths = photos(Path(place))
        folders = {asked: exported(network, *asked, paths, Path(place)) for asked in ASKED}
        works = {"eager": Apart(partial(eager, network, paths))}
        for (to, precision), folder in folders.items():
            works[f"{to} {precision} files"] = Apart(partial(from_files, folder, paths))
            works[f"{to} {precision} tensors"] = Apart(partial(from_tensors, folder, paths))
        works["decoding"] = Apart(partial(decoding, paths))
        sides = [stack.enter_context(work) for work in works.values()]
        seconds = dict(zip(works, in_turns(sides, ROUNDS), strict=True))
    return [row(network, to, precision, seconds) for to, precision in ASKED]


def row(network: str, to: str, precision: str, seconds: dict[str, Any]) -> dict[str, Any]:
    files, tensors = (seconds[f"{to} {precision} {what}"] for what in ("files", "tensors"))
    return {
        "network": network,
        "format": to,
        "precision": precision,
        "files/s": f"{COUNT / np.median(files):.0f}",
        "tensors/s": f"{COUNT / np.median(tensors):.0f}",
        "eager files/s": f"{COUNT / np.median(seconds['eager']):.0f}",
        "over eager": Paired(files, seconds["eager"]).ratio,
        "share of the runtime": Paired(files, seconds["decoding"] + tensors).ratio,
    }


def photos(folder: Path) -> list[Path]:
    for path in sorted((photo_sets() / "hymenoptera").rglob("*.jpg"))[:COUNT]:
        shutil.copyfile(path, folder / path.name)
    return sorted(folder.glob("*.jpg"))


def classifier(network: str) -> Classifier:
    """One with random weights, the same in every process."""
    torch.manual_seed(0)
    model = Network(network, CLASSES, SIZE)
    torch.nn.init.normal_(model.classifier.weight)
    return Classifier(TorchScorer(model), tuple(f"class {k}" for k in range(CLASSES)), "multiclass", Recipe(SIZE))


def exported(network: str, to: str, precision: str, paths: list[Path], place: Path) -> Path:
    folder = place / f"{to}-{precision}"
    export(classifier(network), to, folder, paths, Order(precision))
    return folder


def once(make: Callable[[], Any], key: str, kept: dict[str, Any] = {}) -> Any:  # noqa: B006  for each process
    """What was made in this process at the first call."""
    if key not in kept:
        kept[key] = make()
    return kept[key]


def from_files(folder: Path, paths: list[Path]) -> None:
    once(partial(load, folder), "classifier").predict(paths)


def from_tensors(folder: Path, paths: list[Path]) -> None:
    opened = once(partial(load, folder), "classifier")
    opened.score(once(lambda: decode_files(paths, opened.recipe, keep=False).images, "images"))


def decoding(paths: list[Path]) -> None:
    decode_files(paths, Recipe(SIZE), keep=False)


@torch.inference_mode()
def eager(network: str, paths: list[Path]) -> None:
    """What a script does: open, crop, resize, stack, run, a batch after the other."""
    model = once(partial(classifier, network), "classifier").model
    for start in range(0, len(paths), BATCH):
        squares = [np.asarray(_square(Image.open(path).convert("RGB"))) for path in paths[start : start + BATCH]]
        model(torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float().div(255)).softmax(dim=1)


def _square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))


if __name__ == "__main__":
    main()
