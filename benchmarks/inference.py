"""From files to answers with a loaded classifier and with an exported one, against a plain script on torch and timm."""

import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.pairs import Apart, Paired, calibration, in_turns, interleave
from benchmarks.table import keep, photo_sets
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.delivery.exporters import export
from linnaea.models.network import Network
from linnaea.runtime.plan import pick_device

NETWORKS = {"resnet50": "3x", "vit_small_patch16_224": "3x", "mobilenetv3_large_100": "1.3x"}
SIZE, BATCH, COUNT, CLASSES = 224, 32, 256, 10
AGREE = 0.98  # share of the same labels, of random weights, whose answers lie close
MANY = 15  # pairs, where the work is short
TOGETHER = 16  # images per call of the runtime


def main() -> None:
    """Each network from files; then the exported file against the runtime alone."""
    rows = [row(name, aim) for name, aim in NETWORKS.items()]
    remarks = (
        f"{COUNT} photos, from files to probabilities at {SIZE} pixels, random weights. Linnaea: "
        "`Classifier.predict` with precision auto, which measures on the first call, not counted, and in float32, "
        f"its default. timm {version('timm')}: a script in eager float32, batches of {BATCH}, Pillow and "
        "torchvision's transforms; tuned: channels_last, bfloat16 by autocast, decoding on a pool of threads. Each "
        f"has a process of its own. No ratio is given where less than {AGREE:.0%} of the labels are those of timm: "
        "images are shrunk while they are decoded, and answers of random weights lie close. Exported: the "
        "Predictor beside model.onnx, one image at a time, over its own decoding and onnxruntime "
        f"{version('onnxruntime')} alone. {calibration()}."
    )
    keep("inference", "From files to answers", rows, remarks)


def photos(folder: Path) -> list[Path]:
    """Files to be answered for."""
    paths = sorted((photo_sets() / "hymenoptera").rglob("*.jpg"))[:COUNT]
    for path in paths:
        shutil.copyfile(path, folder / path.name)
    return sorted(folder.glob("*.jpg"))


def row(name: str, aim: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        paths = photos(Path(place))
        sides = {
            "auto": Apart(partial(ours, name, paths, "auto"), {"LINNAEA_CACHE": f"{place}/cache"}),
            "float32": Apart(partial(ours, name, paths, "float32"), {"LINNAEA_CACHE": "none"}),
            "timm": Apart(partial(plain, name, paths, False)),
            "tuned": Apart(partial(plain, name, paths, True)),
        }
        with ExitStack() as stack:
            works = [stack.enter_context(side) for side in sides.values()]
            seconds = dict(zip(sides, in_turns(works), strict=True))
        raw = exported(classifier(name), paths, Path(place) / "export")
    agrees = {side: float((work.result == sides["timm"].result).mean()) for side, work in sides.items()}

    def ratio(side: str, peer: str) -> str:
        return Paired(seconds[side], seconds[peer]).ratio_if(agrees[side] >= AGREE)

    return {
        "network": name,
        **{side: f"{COUNT / np.median(part):.1f}/s" for side, part in seconds.items()},
        "auto over timm": ratio("auto", "timm"),
        "aim": aim,
        "float32 over timm": ratio("float32", "timm"),
        "auto over tuned": ratio("auto", "tuned"),
        "same labels as timm": ", ".join(f"{agrees[side]:.1%}" for side in sides if side != "timm"),
        "exported over runtime": raw,
    }


@cache
def classifier(name: str) -> Classifier:
    """One with random weights, the same in every process, whose answers differ between images."""
    torch.manual_seed(0)
    model = Network(name, CLASSES, SIZE)
    torch.nn.init.normal_(model.classifier.weight)
    return Classifier(
        TorchScorer(model.to(pick_device())), tuple(f"class {k}" for k in range(CLASSES)), "multiclass", Recipe(SIZE)
    )


def ours(name: str, paths: list[Path], precision: str) -> np.ndarray:
    """The classes (N,) that the loaded classifier answers."""
    answers: np.ndarray = classifier(name).predict(paths, precision=precision).scores().argmax(axis=1)
    return answers


def plain(name: str, paths: list[Path], tuned: bool) -> np.ndarray:
    """What a script does, open, resize, crop, normalise, stack, run; the classes (N,) that it finds."""
    from torchvision.transforms import v2

    shape = v2.Compose(
        [
            v2.Resize(SIZE, interpolation=v2.InterpolationMode.BICUBIC),
            v2.CenterCrop(SIZE),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    layout, device = torch.channels_last if tuned else torch.contiguous_format, pick_device()
    model = classifier(name).model.to(memory_format=layout)
    parts = []
    with torch.inference_mode(), ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), BATCH):
            images = (pool.map if tuned else map)(
                lambda path: shape(Image.open(path).convert("RGB")), paths[start : start + BATCH]
            )
            with torch.autocast(device, torch.bfloat16, enabled=tuned):
                logits = model(torch.stack(list(images)).to(device).contiguous(memory_format=layout))
            parts.append(logits.float().softmax(dim=1).cpu().numpy())
    return np.concatenate(parts).argmax(axis=1)


def exported(classifier: Classifier, paths: list[Path], folder: Path) -> str:
    """The Predictor that travels with the file, against a session of the runtime alone."""
    import onnxruntime

    found = export(classifier, "onnx", folder, paths)
    sys.path.insert(0, str(folder))
    try:
        import predict as shipped  # type: ignore[import-not-found]

        predictor = shipped.Predictor(folder)
    finally:
        sys.path.remove(str(folder))
        for name in ("predict", "session", "decoding", "decisions"):
            sys.modules.pop(name, None)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    images = decode_files(paths[:TOGETHER], Recipe(SIZE)).images
    files = [path.read_bytes() for path in paths[:TOGETHER]]

    def runtime() -> None:
        for path_bytes, image in zip(files, images, strict=True):
            shipped.decode(path_bytes, SIZE, "crop")
            session.run(None, {name: image[None]})

    def bundle() -> None:
        for path_bytes in files:
            predictor.score(path_bytes)

    return interleave(bundle, runtime, MANY).ratio if found.parity.severity != "error" else "the export differs"


if __name__ == "__main__":
    main()
