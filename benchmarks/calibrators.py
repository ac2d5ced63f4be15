"""Does a temperature, or what is chosen on val, lower the calibration error on real photos? From a run's own scores.

`python -m benchmarks.calibrators RUN [RUN ...]`, of finished runs, such as of CIFAR-10 and clothing.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.table import keep
from linnaea.classifier.calibrators import CALIBRATORS
from linnaea.evidence.calibration_figures import calibration_figures
from linnaea.evidence.calibrator_choice import choose_calibrator, losses_of
from linnaea.evidence.metrics.scores import Scores
from linnaea.run import Run
from linnaea.statistics.intervals import estimate
from linnaea.statistics.spread import Sample
from linnaea.task import TASKS


def main(runs: list[str] | None = None) -> None:
    """Each run without calibration, with one temperature, and with what is chosen on its val."""
    rows = [row for run in (sys.argv[1:] if runs is None else runs) for row in of_run(Run.open(Path(run)))]
    if not rows:
        raise SystemExit("Give the folders of finished runs whose images have one label each.")
    remarks = "Fitted on val, judged on test, from the scores that the runs keep."
    keep("calibrators", "Calibration on real photos", rows, remarks)


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
        rows.append({"run": run.folder.name, "calibrator": name, "ECE": str(error), "log loss": f"{loss:.4f}"})
    return rows


if __name__ == "__main__":
    main()
