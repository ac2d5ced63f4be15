"""Fine-tuning on clothing in five minutes: ours against fastai's `fine_tune`, with the same weights."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.frozen_peers import FASTAI, fill
from benchmarks.peers import add_peer
from benchmarks.table import keep, photo_sets
from linnaea import Predictions
from linnaea.models.weights import Weights, read_weights
from linnaea.statistics.paired import mcnemar

SET, MINUTES = "clothing", 5  # two networks on both sides then take twenty
FROZEN_EPOCHS = 1  # as fine_tune has it
BASE_RATE = 2e-3  # the same


def main() -> None:
    """With every file that LINNAEA_WEIGHTS names, joined as in PATH."""
    files = [Path(part) for part in os.environ.get("LINNAEA_WEIGHTS", "").split(os.pathsep)]
    if not all(file.is_file() for file in files):
        raise SystemExit("Set LINNAEA_WEIGHTS to safetensors files of ImageNet weights to run this benchmark.")
    version = add_peer(*FASTAI)
    remarks = (
        f"{SET}: `linnaea train --model finetune --time-limit {MINUTES}m`, and fastai {version}: vision_learner with "
        "the same weights, RandomResizedCrop, aug_transforms, fine_tune for as many epochs as fit into the same "
        "minutes, by the time that an epoch took. Both are judged on the same test images, which neither "
        "saw; p is that of McNemar's exact test. An epoch with frozen layers and one with all of them are the least."
    )
    rows: list[dict[str, Any]] = []
    for file in files:
        rows.append(row_of(file))
        print(rows[-1], flush=True)
        keep("transfer_peer", "Fine-tuning against fastai in the same minutes", rows, remarks)  # the next may be killed


def row_of(file: Path) -> dict[str, Any]:
    """Both accuracies on the same images, and what the paired test says."""
    mine, my_seconds = ours(file)
    theirs, epochs, their_seconds = fastai(read_weights(file), file)
    names = sorted(mine.keys() & theirs.keys())
    if len(names) != len(theirs):
        raise RuntimeError(f"{len(theirs) - len(names)} test images were judged by one side alone.")
    only_mine = sum(mine[name] and not theirs[name] for name in names)
    only_theirs = sum(theirs[name] and not mine[name] for name in names)
    shares = [sum(side[name] for name in names) / len(names) for side in (mine, theirs)]
    return {
        "weights": file.name.split(".")[0],
        "images": len(names),
        "accuracy: Linnaea, fastai": f"{shares[0]:.1%}, {shares[1]:.1%}",
        "p": f"{mcnemar(only_mine, only_theirs):.2g}",
        "epochs of fastai": epochs,
        "seconds": f"{my_seconds:.0f}, {their_seconds:.0f}",
    }


def ours(file: Path) -> tuple[dict[str, bool], float]:
    """Whether each test image was answered rightly, by its name, and the seconds of the command."""
    with tempfile.TemporaryDirectory() as place:
        run, started = Path(place) / "run", time.perf_counter()
        words = ["train", photo_sets() / SET, "--weights", file, "--model", "finetune", "--time-limit", f"{MINUTES}m"]
        subprocess.run([sys.executable, "-m", "linnaea", *map(str, words), "--out", str(run)], check=True)
        seconds = time.perf_counter() - started
        told = Predictions.read(run / "predictions" / "test.parquet").table.select(["id", "truth", "label"]).to_pylist()
    return {Path(row["id"]).name: row["truth"] == row["label"] for row in told}, seconds


def fastai(weights: Weights, file: Path) -> tuple[dict[str, bool], int, float]:
    """The same of fastai, the epochs after the frozen one, and the seconds they took."""
    trial = _learner(weights, file)
    with trial.no_bar(), trial.no_logging():
        started = time.perf_counter()
        trial.fine_tune(1, freeze_epochs=FROZEN_EPOCHS, base_lr=BASE_RATE)
        epoch = (time.perf_counter() - started) / (1 + FROZEN_EPOCHS)
        seconds = time.perf_counter() - started
    epochs = max(1, int(MINUTES * 60 / epoch) - FROZEN_EPOCHS)
    learner = trial
    if epochs > 1:
        learner = _learner(weights, file)
        started = time.perf_counter()
        with learner.no_bar(), learner.no_logging():
            learner.fine_tune(epochs, freeze_epochs=FROZEN_EPOCHS, base_lr=BASE_RATE)
        seconds = time.perf_counter() - started
    with learner.no_bar(), learner.no_logging():
        images = sorted((photo_sets() / SET / "test").rglob("*.jpg"))
        answers = learner.get_preds(dl=learner.dls.test_dl(images))[0].argmax(dim=1).tolist()
    found = [learner.dls.vocab[answer] for answer in answers]
    return {path.name: path.parent.name == label for path, label in zip(images, found, strict=True)}, epochs, seconds


def _learner(weights: Weights, file: Path) -> Any:
    from fastai.vision.all import (
        ImageDataLoaders,
        Normalize,
        RandomResizedCrop,
        accuracy,
        aug_transforms,
        set_seed,
        vision_learner,
    )

    set_seed(0)
    loaders = ImageDataLoaders.from_folder(
        photo_sets() / SET,
        train="train",
        valid="validation",
        item_tfms=RandomResizedCrop(weights.size, min_scale=0.35),
        batch_tfms=[*aug_transforms(), Normalize.from_stats(weights.mean, weights.std, cuda=False)],
        seed=0,
    )
    learner = vision_learner(loaders, weights.network, pretrained=False, metrics=accuracy, **weights.arguments)
    fill(learner.model[0].model, file)
    return learner


if __name__ == "__main__":
    main()
