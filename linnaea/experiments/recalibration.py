"""The classifier of a run, calibrated anew on its val images or on others."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from linnaea.classifier import Classifier, load
from linnaea.classifier.calibrators import require_calibrator
from linnaea.data.hashing import hash_files
from linnaea.dataset import Dataset
from linnaea.decisions import Outputs
from linnaea.errors import DataError, UsageError
from linnaea.evidence.calibration import Aims, calibrate_with_findings
from linnaea.evidence.conformal import require_sets
from linnaea.evidence.roll_up import require_taxonomy
from linnaea.evidence.thresholds import require_thresholds
from linnaea.evidence.uncertainty import sample_of
from linnaea.experiments.evaluation_images import known_images
from linnaea.finding import Finding
from linnaea.options import Redecision
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.task import TASKS


def recalibrated(run: Run, data: str | Path | Dataset | None, decision: Redecision, folder: Path) -> Classifier:
    """The run's classifier with calibrator and policy fitted anew, written as a bundle; see `linnaea.calibrate`."""
    run.require_finished()
    classifier = load(run.model_folder)
    several, aims = TASKS[classifier.task].multilabel, aims_for(run, decision)
    require_calibrator(aims.calibrator, several=several)
    require_sets(aims.sets, several=several)
    require_thresholds(classifier.task, aims.aim)
    require_taxonomy(classifier.task, aims.risk, None)
    if folder.resolve() == run.model_folder.resolve():
        raise UsageError(f"out is {folder}, the classifier of the run, whose figures are of it: give another folder.")
    seen = run.predictions("val") if data is None else _said(run, classifier, data)
    rows = np.flatnonzero(seen.readable)
    if not len(rows):
        raise DataError("none of the images to calibrate on can be read: give others.")
    ready, findings = calibrate_with_findings(
        classifier, _outputs(classifier, seen, rows), seen.targets[rows], aims, sample_of(seen).unit_of[rows]
    )
    told = {
        "on": "val" if data is None else str(data if isinstance(data, str | Path) else data.root),
        "images": len(rows),
        "aims": asdict(aims),
        "findings": [finding.to_json() for finding in (*findings, *_kept_and_dropped(classifier, aims, decision))],
    }
    ready = ready.with_(provenance={**ready.provenance, "calibration": told})
    ready.save(folder)
    return ready


def aims_for(run: Run, decision: Redecision) -> Aims:
    """What is asked for and, of what is not given, what the run was trained with; the usual where it says nothing."""
    arguments = run.record()["arguments"]
    chosen = {name: arguments.get(name) if value is None else value for name, value in decision.named().items()}
    return Aims(**{name: value for name, value in chosen.items() if value is not None})


def _kept_and_dropped(classifier: Classifier, aims: Aims, decision: Redecision) -> list[Finding]:
    given = decision.named()
    kept = [f"{name} {value}" for name, value in asdict(aims).items() if value is not None and given[name] is None]
    found = [Finding("recalibration", f"As the run was trained: {', '.join(kept)}.")] if kept else []
    if any(classifier.prior_shift):
        dropped = (
            "Dropped: the classifier was adapted to other shares of the classes than those it was calibrated on, and "
            "is no longer; adapt it again."
        )
        found.append(Finding("recalibration", dropped, severity="warning"))
    return found


def _outputs(classifier: Classifier, seen: Predictions, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Outputs:
    raw = seen.scores("raw_scores")[rows]
    strange = np.array(seen.column("ood_score"), dtype=np.float64)[rows]
    return Outputs(raw, raw, raw, None if classifier.ood_score is None else strange)


def _said(run: Run, classifier: Classifier, data: str | Path | Dataset) -> Predictions:
    """What the classifier says of labelled images that it was neither trained nor tested on."""
    dataset, own = known_images(data, classifier), run.dataset()
    split_of = dict(zip(own.column("sha256"), own.column("split"), strict=True))
    hashes = ["" if isinstance(digest, Exception) else digest for digest in hash_files(dataset.paths)]
    rows = [row for row, digest in enumerate(hashes) if split_of.get(digest) not in ("train", "test")]
    if not rows:
        raise DataError(f"the run was trained or tested on every image of {dataset.root}: give others.")
    return classifier.predict(dataset.take(rows))
