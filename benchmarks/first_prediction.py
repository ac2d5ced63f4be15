"""How long a fresh process takes to its first answer from an exported folder, and whether it imports torch."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.startup import prepared_photo
from benchmarks.table import keep
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.exporters import export
from linnaea.models.network import Network

TURNS, CLASSES, SIZE, AIM = 5, 10, 224, 0.6
NETWORKS = ("mobilenetv2_100", "tf_efficientnet_lite0", "resnet18")
FORMATS = ("onnx", "openvino")
WATCHED = """
import pathlib, runpy, sys

sys.argv = {words!r}
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))  # as Python does for a script
try:
    {run}
except SystemExit:
    pass
print("torch" in sys.modules, file=sys.stderr)
"""


def main() -> None:
    """Each network in each format, asked by its script and by `linnaea predict`, in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = prepared_photo(folder)
        folders = {
            (network, to): exported(network, to, folder / network / to, photo) for network in NETWORKS for to in FORMATS
        }
        commands = {
            (*of, by): command(by, place, photo) for of, place in folders.items() for by in ("predict.py", "linnaea")
        }
        seconds: dict[tuple[str, str, str], list[float]] = {of: [] for of in commands}
        for turn in range(TURNS + 1):
            for of, words in commands.items():
                taken = timed(words)
                if turn:  # files are read from memory from then on
                    seconds[of].append(taken)
        rows = [row(*of, values, imports_torch(of[2], folders[of[:2]], photo)) for of, values in seconds.items()]
    remarks = (
        f"Wall clock of fresh processes from their start to their end, {TURNS} of each in turns, a photo of "
        f"hymenoptera from its file; random weights. Aim of predict.py: {AIM} s, and no torch."
    )
    keep("first_prediction", "The first answer of a fresh process", rows, remarks)


def exported(network: str, to: str, folder: Path, photo: Path) -> Path:
    """A folder with that network in that format."""
    torch.manual_seed(0)
    names = tuple(f"class {number}" for number in range(CLASSES))
    classifier = Classifier(TorchScorer(Network(network, CLASSES, SIZE)), names, "multiclass", Recipe(SIZE))
    return export(classifier, to, folder, [photo]).folder


def command(by: str, folder: Path, photo: Path) -> list[str]:
    """What asks the folder about a photo."""
    if by == "predict.py":
        return [sys.executable, str(folder / by), str(photo)]
    return [sys.executable, "-m", "linnaea", "predict", str(folder), str(photo)]


def timed(words: list[str]) -> float:
    """The seconds that a command takes; raises CalledProcessError where it fails."""
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - start


def imports_torch(by: str, folder: Path, photo: Path) -> bool:
    """Whether a command has torch in the end."""
    words = command(by, folder, photo)[1:]
    script = by == "predict.py"
    run = (
        f"runpy.run_path({words[0]!r}, run_name='__main__')"
        if script
        else "runpy.run_module('linnaea', run_name='__main__')"
    )
    code = WATCHED.format(words=words if script else words[1:], run=run)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stderr.split()[-1] == "True"


def row(network: str, to: str, by: str, seconds: list[float], heavy: bool) -> dict[str, Any]:
    """A row of the table."""
    asked = "python predict.py photo.jpg" if by == "predict.py" else "linnaea predict FOLDER photo.jpg"
    return {
        "network": network,
        "format": to,
        "asked by": asked,
        "median": f"{np.median(seconds):.2f} s",
        "slowest": f"{max(seconds):.2f} s",
        "torch imported": "yes" if heavy else "no",
    }


if __name__ == "__main__":
    main()
