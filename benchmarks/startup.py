"""How long the command line takes to answer, and a fresh process to name its first photo, against other tools."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.pairs import interleave
from benchmarks.peers import add_peer, folder_of, python_of
from benchmarks.table import keep, photo_sets
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.delivery.exporters import export
from linnaea.models.network import Network

PAIRS, STARTS = 7, 15
NETWORK, CLASSES, SIZE = "mobilenetv2_100", 10, 224
YOLO = (
    "ultralytics==8.4.190",
    "ultralytics-thop==2.2.3",
    "opencv-python-headless==5.0.0.93",
    "psutil==7.2.2",
    "requests==2.34.2",
    "urllib3==2.8.0",
    "charset-normalizer==3.5.2",
    "certifi==2026.10.18",
)
SCRIPT = """
import argparse

import timm
import torch
from PIL import Image
from safetensors.torch import load_file

parser = argparse.ArgumentParser()
parser.add_argument("photo")
photo = parser.parse_args().photo
model = timm.create_model({network!r}, num_classes={classes})
model.load_state_dict(load_file("weights.safetensors"))
shape = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
with torch.inference_mode():
    print(int(model.eval()(shape(Image.open(photo).convert("RGB"))[None]).argmax()))
"""
AUTOGLUON = ("autogluon.multimodal==1.6.3", "torch<2.13")
FIT = """
import sys
from pathlib import Path

import pandas
import timm
from autogluon.multimodal import MultiModalPredictor
from autogluon.multimodal.models import timm_image

timm_image.create_model = lambda name, pretrained, **given: timm.create_model(name, **given)
photos = sorted(Path(sys.argv[1]).rglob("*.jpg"))[:40]
table = pandas.DataFrame({{"image": map(str, photos), "label": [number % {classes} for number in range(len(photos))]}})
names = {{"model.names": ["timm_image"], "model.timm_image.checkpoint_name": {network!r}}}
moment = {{"env.num_gpus": 0, "env.num_workers": 0, "optim.max_epochs": 1}}
MultiModalPredictor(label="label", path="autogluon", verbosity=0).fit(table, hyperparameters=names | moment)
"""
ASK = """
import sys

from autogluon.multimodal import MultiModalPredictor

print(MultiModalPredictor.load("autogluon").predict({"image": [sys.argv[1]]}))
"""
Command = list[str]


def main() -> None:
    """What each answer costs, answers without a model, then the first answer with one."""
    starts()
    version = add_peer(*YOLO)
    linnaea = str(Path(sys.executable).with_name("linnaea"))
    yolo = [sys.executable, str(folder_of(YOLO[0]) / "bin" / "yolo")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script, bundle, photo = prepared(folder)
        run = partial(called, folder)
        run_yolo = partial(run, PYTHONPATH=str(folder_of(YOLO[0])), YOLO_OFFLINE="true")
        helped = run([linnaea, "--help"])
        first = run([sys.executable, str(bundle / "predict.py"), str(photo)])
        classify = [*yolo, "classify", "predict", "model=yolo.pt", f"source={photo}", "save=False", f"imgsz={SIZE}"]
        rows = [
            row("linnaea --help", helped, "yolo help", run_yolo([*yolo, "help"]), "10x"),
            row("linnaea --help", helped, "script.py --help", run([sys.executable, str(script), "--help"]), "10x"),
            row("linnaea train --help", run([linnaea, "train", "--help"]), "yolo help", run_yolo([*yolo, "help"]), ""),
            row("linnaea trian (a mistake)", run([linnaea, "trian"]), "yolo trian", run_yolo([*yolo, "trian"]), ""),
            row("first prediction", first, "yolo classify predict", run_yolo(classify), "5x"),
            row("first prediction", first, "script.py photo.jpg", run([sys.executable, str(script), str(photo)]), "5x"),
            row("first prediction", first, "AutoGluon's predict", run(autogluon(folder, photo)), "5x"),
        ]
    remarks = (
        f"Wall clock of fresh processes, {PAIRS} pairs. First prediction: `python predict.py photo.jpg` beside an "
        f"exported model.onnx of {NETWORK}, which needs no torch. script.py: torch, timm and argparse, same network. "
        f"Ultralytics {version}, told that it is offline, with its smallest classifier. {AUTOGLUON[0]} has no command "
        f"line: a script loads its predictor of {NETWORK} and asks it, in an environment with {AUTOGLUON[1]}."
    )
    keep("startup", "Start-up", rows, remarks)


def starts() -> None:
    """The CPU time of an answer that needs no image, in starts of Python that do nothing."""
    from linnaea.cli import app

    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        for label in ("cat", "dog"):
            (photos / label).mkdir(parents=True)
        asked = [["--help"], *([verb, "--help"] for verb in app.list_commands(None)), ["trian"], ["train", "nowhere"]]
        wrong = (("--model", "frozn"), ("--ood", "foo"), ("--loss", "focl"), ("--epochs", "-1"), ("--epoch", "3"))
        asked += [["train", str(photos), *words] for words in wrong]
        costs = cpu_times([["-c", "pass"], *(["-m", "linnaea", *words] for words in asked)], Path(name))
    rows = [
        {
            "linnaea": " ".join(words).replace(str(photos), "photos"),
            "CPU time": f"{1000 * cost:.0f} ms",
            "starts": f"{cost / costs[0]:.1f}",
        }
        for words, cost in zip(asked, costs[1:], strict=True)
    ]
    remarks = (
        f"User time of fresh processes, the median of {STARTS}, and that time in bare starts of the same interpreter "
        f"(`python -c pass`, {1000 * costs[0]:.0f} ms), all of them in turns. Aim: 8 starts."
    )
    keep("startup_cpu", "The cost of an answer that needs no image", rows, remarks)


def cpu_times(commands: list[Command], folder: Path) -> list[float]:
    """The median user time in seconds of each command of Python, in turns; what is compiled once is not counted."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    seen: list[list[float]] = [[] for _ in commands]
    for turn in range(STARTS + 1):
        for command, times in zip(commands, seen, strict=True):
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            subprocess.run([sys.executable, *command], capture_output=True, check=False, cwd=folder, env=environment)
            if turn:
                times.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
    return [float(np.median(times)) for times in seen]


def prepared(folder: Path) -> tuple[Path, Path, Path]:
    """The script, a folder with an exported classifier, and a photo; weights are random."""
    torch.manual_seed(0)
    model = Network(NETWORK, CLASSES, SIZE)
    names = tuple(f"class {number}" for number in range(CLASSES))
    photo = prepared_photo(folder)
    export(Classifier(TorchScorer(model), names, "multiclass", Recipe(SIZE)), "onnx", folder / "export", [photo])
    head = {name: value for name, value in model.state_dict().items() if name.startswith("classifier.")}
    whole = {name: value.contiguous() for name, value in (model.body.state_dict() | head).items()}
    save_file(whole, str(folder / "weights.safetensors"))
    script = folder / "script.py"
    script.write_text(SCRIPT.format(network=NETWORK, classes=CLASSES))
    import ultralytics  # installed by now

    ultralytics.YOLO("yolo11n-cls.yaml").save(folder / "yolo.pt")
    return script, folder / "export", photo


def prepared_photo(folder: Path) -> Path:
    """A photo in that folder."""
    photo = folder / "photo.jpg"
    shutil.copyfile(next((photo_sets() / "hymenoptera" / "train").rglob("*.jpg")), photo)
    return photo


def autogluon(folder: Path, photo: Path) -> Command:
    """The command that asks a predictor about a photo; it was fitted for a moment, from random weights."""
    python = str(python_of(*AUTOGLUON))
    fit, ask = folder / "fit.py", folder / "ask.py"
    fit.write_text(FIT.format(network=NETWORK, classes=CLASSES))
    ask.write_text(ASK)
    photos = str(photo_sets() / "hymenoptera" / "train")
    subprocess.run([python, str(fit), photos], check=True, cwd=folder, capture_output=True)
    return [python, str(ask), str(photo)]


def called(folder: Path, command: Command, **environment: str) -> Callable[[], None]:
    """The work of running a command in that folder, where only a mistake may fail."""

    def work() -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=folder, env=os.environ | environment
        )
        if bool(done.returncode) != ("trian" in command):
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")

    return work


def row(ours: str, own: Callable[[], None], theirs: str, other: Callable[[], None], aim: str) -> dict[str, Any]:
    paired = interleave(own, other, PAIRS)
    milliseconds = [f"{1000 * np.median(part):.0f} ms" for part in (paired.ours, paired.theirs)]
    return {
        "linnaea": ours,
        "takes": milliseconds[0],
        "peer": theirs,
        "it takes": milliseconds[1],
        "ratio": paired.ratio,
        "aim": aim,
    }


if __name__ == "__main__":
    main()
