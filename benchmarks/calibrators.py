"""Does a temperature, or what is chosen on val, lower the calibration error on real photos? From a run's own scores.

`python -m benchmarks.calibrators [RUN ...]`, of finished runs; without any, of a part of CIFAR-10 and of clothing.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import linnaea
from benchmarks.ensembles import some_of
from benchmarks.table import keep, photo_sets
from linnaea.classifier.calibrators import CALIBRATORS
from linnaea.evidence.calibration_figures import calibration_figures
from linnaea.evidence.calibrator_choice import choose_calibrator, losses_of
from linnaea.evidence.metrics.scores import Scores
from linnaea.run import Run
from linnaea.statistics.intervals import estimate
from linnaea.statistics.spread import Sample
from linnaea.task import TASKS

PER_CLASS = 150
REMARKS = "the calibration error in bins of equal mass, with 95 % limits, from the scores that the runs keep."


def main(runs: list[str] | None = None) -> None:
    """Each run without calibration, with one temperature, and with what is chosen on its val; `runs` None: its own."""
    if runs:
        rows, made = [row for run in runs for row in of_run(Run.open(Path(run)))], ""
    else:
        rows = of_own()
        made = f"Frozen backbone; of CIFAR-10 {PER_CLASS} images of each class, split anew. "
    keep("calibrators", "Calibration on real photos", rows, f"{made}Fitted on val, judged on test: {REMARKS}")


def of_own() -> list[dict[str, str]]:
    """The rows of runs that are made for it."""
    weights = Path(os.environ.get("LINNAEA_WEIGHTS", ""))
    if not weights.is_file():
        raise SystemExit("Set LINNAEA_WEIGHTS to a safetensors file of ImageNet weights, or give finished runs.")
    sets = {
        "CIFAR-10": some_of(photo_sets() / "cifar10", PER_CLASS, 0),
        "clothing": linnaea.read(photo_sets() / "clothing"),
    }
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for name, data in sets.items():
            out = Path(place) / name
            linnaea.train(data, model="frozen", weights=str(weights), out=out)
            rows += of_run(Run.open(out))
    return rows


def of_run(run: Run) -> list[dict[str, str]]:
    """The rows of one run."""
    val, test = (run.predictions(split) for split in ("val", "test"))
    raw, targets = val.scores("raw_scores")[val.readable], val.targets[val.readable]
    new, truths = test.scores("raw_scores")[test.readable], test.targets[test.readable]
    chosen = choose_calibrator(raw, targets)[0]
    fitted = {name: CALIBRATORS[name].fit(raw, targets) for name in ("none", "temperature")}
    rows = []
    for name, calibrator in {**fitted, f"chosen: {chosen.kind}": chosen}.items():
        said = TASKS[test.task].probabilities(calibrator(torch.from_numpy(new)).numpy())
        count = len(truths)
        scores = Scores.of_arrays(truths, said.argmax(1), said, said.max(1), np.ones(count, dtype=bool))
        error = estimate(calibration_figures(scores, Sample(count)), Sample(count))["ece_equal_mass"]
        loss = losses_of(calibrator, new, truths).mean()
        rows.append(
            {
                "run": run.folder.name,
                "calibrator": name,
                "test images": f"{count:,}",
                "ECE": str(error),
                "log loss": f"{loss:.4f}",
            }
        )
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
