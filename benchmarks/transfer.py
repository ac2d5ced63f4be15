"""Fine-tuning against its own frozen backbone on photo sets, compared on images that neither was chosen by."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.table import keep, photo_sets

SETS = ("clothing", "hymenoptera")
LIMIT = "10m"


def main() -> None:
    """Measure every set with every file that LINNAEA_WEIGHTS names, joined as in PATH."""
    given = os.environ.get("LINNAEA_WEIGHTS", "")
    files = [Path(part) for part in given.split(os.pathsep)]
    if not all(file.is_file() for file in files):
        raise SystemExit("Set LINNAEA_WEIGHTS to safetensors files of ImageNet weights to run this benchmark.")
    rows = [measure(photo_sets() / name, file) for file in files for name in SETS]
    remarks = (
        f"Commands: `linnaea train SET --weights FILE --model frozen` and `--model finetune --time-limit {LIMIT}`, "
        "then `linnaea compare`: McNemar's exact test on the same images. Hymenoptera comes without a test split: its "
        "images are those of the val split that both were tuned on."
    )
    keep("transfer", "Fine-tuning against the frozen backbone it starts from", rows, remarks)


def measure(photos: Path, weights: Path) -> dict[str, object]:
    """One row: both accuracies and losses, the difference, what the test says, and how long the commands took."""
    with tempfile.TemporaryDirectory() as place:
        runs = [Path(place) / "frozen", Path(place) / "finetune"]
        seconds = [
            linnaea("train", photos, "--out", run, "--weights", weights, "--model", run.name, *limit)
            for run, limit in zip(runs, ((), ("--time-limit", LIMIT)), strict=True)
        ]
        answer = subprocess.run(
            [sys.executable, "-m", "linnaea", "compare", *map(str, runs), "--json"], check=True, capture_output=True
        )
        found: dict[str, Any] = json.loads(answer.stdout)
    accuracy, loss = found["values"]["accuracy"], found["values"]["nll"]
    difference = found["differences"]["nll"]
    return {
        "set": photos.name,
        "weights": weights.name.split(".")[0],
        "images": found["n"],
        "accuracy: frozen, fine-tuned": f"{accuracy[0]:.1%}, {accuracy[1]:.1%}",
        "p": f"{found['p_value']:.2g}",
        "negative log-likelihood: frozen, fine-tuned": f"{loss[0]:.3f}, {loss[1]:.3f}",
        "difference": f"{difference['value']:+.3f} ({difference['lo']:+.3f} to {difference['hi']:+.3f})",
        "seconds of the commands": f"{seconds[0]:.0f}, {seconds[1]:.0f}",
    }


def linnaea(*words: object) -> float:
    """How long a command took, in seconds."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "linnaea", *map(str, words)], check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
