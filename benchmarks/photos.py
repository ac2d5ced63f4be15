"""Photo sets with given ImageNet weights, against scikit-learn's logistic regression on the same frozen features."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.table import keep, photo_sets

SETS = ("hymenoptera", "clothing")
STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def main() -> None:
    """Measure every set; the features of the reference come from the same weights and the same decoding."""
    weights = Path(os.environ.get("LINNAEA_WEIGHTS", ""))
    if not weights.is_file():
        raise SystemExit("Set LINNAEA_WEIGHTS to a safetensors file of ImageNet weights to run this benchmark.")
    rows = [measure(photo_sets() / name, weights) for name in SETS]
    remarks = (
        "Command: `linnaea train SET --weights FILE --model frozen`. Reference: standardised features, C chosen on val "
        "among four (hymenoptera has no test split: both are judged "
        "on the val split they were tuned on)."
    )
    keep("photos", "Photo sets with frozen ImageNet weights", rows, remarks)


def measure(photos: Path, weights: Path) -> dict[str, object]:
    """One row: the command's accuracy and seconds, and the reference's accuracy."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / photos.name
        command = ["train", str(photos), "--out", str(run), "--weights", str(weights), "--model", "frozen"]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "linnaea", *command], check=True)
        seconds = time.perf_counter() - started
        figures = json.loads((run / "metrics.json").read_text())
        split = "test" if "test" in figures else "val"
        accuracy = figures[split]["accuracy"]
        reference = logistic_regression(run, weights, split)
        chosen = json.loads((run / "run.json").read_text())["chosen"]
    return {
        "set": photos.name,
        "split": split,
        "images": accuracy["n"],
        "linnaea": f"{accuracy['value']:.2%} ({accuracy['lo']:.2%} to {accuracy['hi']:.2%})",
        "rung": chosen,
        "scikit-learn": f"{reference:.2%}",
        "difference": f"{100 * (accuracy['value'] - reference):+.2f} points",
        "whole command": f"{seconds:.0f} s",
    }


def logistic_regression(run: Path, weights: Path, split: str) -> float:
    """Accuracy on `split` of scikit-learn's logistic regression, its C chosen on val."""
    from linnaea.data.images.pixels import Recipe, decode_files
    from linnaea.models.embedding import embed
    from linnaea.models.weights import read_weights
    from linnaea.run import Run

    dataset = Run.open(run).dataset()
    model = read_weights(weights).build(len(dataset.classes), 224)
    parts = {name: dataset.split(name) for name in ("train", "val", split)}
    features = {name: embed(model, decode_files(part.paths, Recipe(224)).images) for name, part in parts.items()}
    fitted = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000)).fit(
            features["train"], parts["train"].targets
        )
        for strength in STRENGTHS
    ]
    best = max(fitted, key=lambda model: model.score(features["val"], parts["val"].targets))
    return float(np.mean(best.predict(features[split]) == parts[split].targets))


if __name__ == "__main__":
    main()
