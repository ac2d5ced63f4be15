"""`kill -9` at random moments: a run that is resumed each time ends with the weights of one that was never stopped."""

import importlib
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.table import keep

MOMENTS = 50
REACH = 0.7  # of the time that a whole training takes: the latest moment after a start
OF_EACH_DIGIT = 12
COMMON = {
    "model": "test_resnet",
    "weights": "none",
    "epochs": 8,
    "batch_size": 12,
    "patience": 8,
    "precision": "float32",
    "device": "cpu",
    "checkpoint_every": "0.2s",
}
RECIPES: dict[str, dict[str, Any]] = {
    "sgd, plateau, EMA, MixUp": {
        "optimizer": "sgd",
        "schedule": "plateau:0.5",
        "ema": 0.9,
        "augment": ["shift", "mixup"],
        "learning_rate": 0.02,
    },
    "muon, cosine, 2 batches a step, dropout, CutMix": {
        "optimizer": "muon",
        "schedule": "cosine",
        "accumulate": 2,
        "dropout": 0.2,
        "augment": ["zoom", "cutmix"],
    },
}


@dataclass
class Tally:
    """What came of killing: how often, where, and of how many trainings the weights were the same in the end."""

    kills: int = 0
    places: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    same: int = 0


def main() -> None:
    """Kill trainings on scikit-learn's digits, each recipe at half of the moments."""
    importlib.import_module("linnaea.experiments.training_run")  # children need not import it again
    began, chance = time.monotonic(), random.Random(0)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        photos = digits(Path(place) / "digits")
        for name, recipe in RECIPES.items():
            tally = killed(photos, Path(place) / name.split(",")[0], COMMON | recipe, MOMENTS // len(RECIPES), chance)
            rows.append(
                {
                    "recipe": name,
                    "killed": tally.kills,
                    **{where: tally.places[where] for where in ("before training", "while training", "after training")},
                    "trainings": tally.ended,
                    "same weights, bit for bit": f"{tally.same} of {tally.ended}",
                }
            )
    remarks = (
        f"`linnaea.train` on {OF_EACH_DIGIT} of each of scikit-learn's digits, a small residual network from scratch "
        f"for {COMMON['epochs']} epochs, sent SIGKILL at moments drawn evenly over {REACH:.0%} of the time that a "
        "whole training takes, and resumed until it ends; the weights are compared with those of a training that was "
        f"never stopped. It took {time.monotonic() - began:.0f} s."
    )
    keep("killed", "Killed at random moments", rows, remarks)


def digits(folder: Path) -> Path:
    """A folder of each digit with a few images."""
    from linnaea.experiments.digits import write_digits

    write_digits(folder)
    for label in folder.iterdir():
        for path in islice(sorted(label.iterdir()), OF_EACH_DIGIT, None):
            path.unlink()
    return folder


def killed(photos: Path, place: Path, options: dict[str, Any], moments: int, chance: random.Random) -> Tally:
    """Kill trainings so many times; those that were begun are brought to their end."""
    tally = Tally()
    began = time.monotonic()
    expected = weights(whole(photos, place / "whole", options))
    seconds = time.monotonic() - began
    while tally.kills < moments:
        run = place / f"run {tally.ended}"
        while True:
            child = started(photos, run, options)
            child.join(chance.uniform(0, REACH * seconds) if tally.kills < moments else None)
            if child.exitcode is not None:
                break
            child.kill()
            child.join()
            tally.kills += 1
            tally.places[where(run)] += 1
            if (run / "report.html").exists():  # it was leaving
                break
        if child.exitcode and not (run / "report.html").exists():
            raise RuntimeError(f"a training that was resumed in {run} ended with {child.exitcode}")
        tally.ended += 1
        tally.same += weights(run) == expected
    return tally


def whole(photos: Path, run: Path, options: dict[str, Any]) -> Path:
    """The run of a training that nobody stops."""
    child = started(photos, run, options)
    child.join()
    if child.exitcode:
        raise RuntimeError(f"a training in {run} ended with {child.exitcode}")
    return run


def started(photos: Path, run: Path, options: dict[str, Any]) -> Any:
    """A process that trains, or goes on where another was killed."""
    child = multiprocessing.get_context("fork").Process(target=_train, args=(photos, run, options))
    child.start()
    return child


def _train(photos: Path, run: Path, options: dict[str, Any]) -> None:
    import logging

    import linnaea

    logging.getLogger("linnaea").setLevel(logging.ERROR)
    linnaea.train(photos, out=run, resume=run.exists(), **options)


def where(run: Path) -> str:
    """What a run was at when its process was killed."""
    if next(run.glob("checkpoints/*/finished"), None) is not None:
        return "after training"
    return "while training" if next(run.glob("checkpoints/*/*.safetensors"), None) else "before training"


def weights(run: Path) -> bytes:
    """The weights that a run ended with."""
    return (run / "model" / "weights.safetensors").read_bytes()


if __name__ == "__main__":
    main()
