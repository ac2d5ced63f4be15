"""From files to answers with a loaded classifier and with an exported one, against a plain script on torch and timm."""

import shutil
import sys
import tempfile
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.pairs import Apart, calibration, interleave
from benchmarks.table import keep, photo_sets
from linnaea.classifier import Classifier
from linnaea.data.pixels import Recipe, decode_files
from linnaea.delivery.exporters import export
from linnaea.models.network import Network

NETWORKS = {"resnet50": "3x", "vit_small_patch16_224": "3x", "mobilenetv3_large_100": "1.3x"}
SIZE, BATCH, COUNT, CLASSES = 224, 32, 256, 10
AGREE = 0.98  # share of the same labels, of random weights, whose answers lie close
MANY = 15  # pairs, where the work is short
TOGETHER = 16  # pictures per call of the runtime


def main() -> None:
    """Each network from files; then the exported file against the runtime alone."""
    rows = [row(name, aim) for name, aim in NETWORKS.items()]
    remarks = (
        f"{COUNT} photos, from files to probabilities at {SIZE} pixels, random weights. timm {version('timm')}: eager, "
        f"float32, batches of {BATCH}, Pillow and torchvision's transforms. Linnaea: `Classifier.predict` with "
        "precision auto, which measures on the first call, not counted; float32, its default, is the median of three. "
        f"Each has a process of its own. {AGREE:.0%} of labels agree or no ratio is given. Exported: the Predictor "
        "beside model.onnx, one picture at a time, over its own decoding and onnxruntime "
        f"{version('onnxruntime')} alone. "
        f"{calibration()}."
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
        with (
            Apart(partial(ours, name, paths, "auto"), {"LINNAEA_CACHE": f"{place}/cache"}) as own,
            Apart(partial(ours, name, paths, "float32"), {"LINNAEA_CACHE": "none"}) as default,
            Apart(partial(plain, name, paths)) as script,
        ):
            paired = interleave(own, script)
            default()
            seconds = float(np.median([default() for _ in range(3)]))
            same = [float((side.result == script.result).mean()) for side in (own, default)]
        raw = exported(classifier(name), paths, Path(place) / "export")
    return {
        "network": name,
        "timm": f"{COUNT / np.median(paired.theirs):.1f}/s",
        "linnaea, auto": f"{COUNT / np.median(paired.ours):.1f}/s",
        "ratio": paired.ratio_if(same[0] >= AGREE),
        "aim": aim,
        "linnaea, float32": f"{COUNT / seconds:.1f}/s",
        "same labels": f"{same[0]:.1%}, {same[1]:.1%}",
        "exported over runtime": raw,
    }


@cache
def classifier(name: str) -> Classifier:
    """One with random weights, the same in every process, whose answers differ between pictures."""
    torch.manual_seed(0)
    model = Network(name, CLASSES, SIZE)
    torch.nn.init.normal_(model.classifier.weight)
    return Classifier(model.eval(), tuple(f"class {k}" for k in range(CLASSES)), "multiclass", Recipe(SIZE))


def ours(name: str, paths: list[Path], precision: str) -> np.ndarray:
    """The classes (N,) that the loaded classifier answers."""
    answers: np.ndarray = classifier(name).predict(paths, precision=precision).scores().argmax(axis=1)
    return answers


def plain(name: str, paths: list[Path]) -> np.ndarray:
    """What a script does, open, resize, crop, normalise, stack, run; the classes (N,) that it finds."""
    from torchvision.transforms import v2

    model = classifier(name).model
    shape = v2.Compose(
        [
            v2.Resize(SIZE, interpolation=v2.InterpolationMode.BICUBIC),
            v2.CenterCrop(SIZE),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    parts = []
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH):
            images = torch.stack([shape(Image.open(path).convert("RGB")) for path in paths[start : start + BATCH]])
            parts.append(model(images).softmax(dim=1).numpy())
    return np.concatenate(parts).argmax(axis=1)


def exported(classifier: Classifier, paths: list[Path], folder: Path) -> str:
    """The Predictor that travels with the file, against a session of the runtime alone."""
    import onnxruntime

    found = export(classifier, "onnx", folder, paths)
    sys.path.insert(0, str(folder))
    try:
        import predict as shipped  # type: ignore[import-not-found]

        predictor = shipped.Predictor(folder / "model.onnx")
    finally:
        sys.path.remove(str(folder))
        for name in ("predict", "decoding", "decisions"):
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
