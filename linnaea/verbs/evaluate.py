"""`evaluate`: a file of predictions, which needs no torch, a classifier, or a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.evidence.evaluation import Evaluation, judge
from linnaea.predictions import Predictions
from linnaea.run import Run

if TYPE_CHECKING:
    from linnaea.classifier import Classifier


def evaluate(
    classifier: "Classifier | Run | str | Path",
    data: str | Path | Dataset | None = None,
    *,
    prevalence: float | None = None,
    unknown: str | Path | Sequence[str | Path] | None = None,
    max_pixels: int | None = None,
) -> Evaluation:
    """Judge a classifier on labelled images, or a run on its own test split, which is counted as opened once more.

    In place of a classifier a file of predictions may be given, as `Predictions.write` makes it, of any size: scores
    that do not fit memory are read part by part. Every figure comes with a 95 % interval. For a run the predictions,
    figures and tables are written into its folder. Images that cannot be read count as wrong answers. `prevalence`, of
    two classes, adds what answers are worth where the positive one has that share (Bayes' rule; Mercaldo et al. 2007).
    `unknown` are images of none of the classes: how many are recognised as unknown is added to the figures and the
    findings. Images of more than `max_pixels` (None: as in training) are not decoded. Raises DataError when no image
    carries a known class, UsageError for a prevalence that is not a share.
    """
    if isinstance(classifier, str | Path) and Path(classifier).suffix == ".parquet":
        if data is not None or unknown is not None:
            raise UsageError(
                f"{classifier} holds finished predictions: leave the data out, or give a run or a classifier."
            )
        return judge(Predictions.open(Path(classifier)), prevalence=prevalence)
    from linnaea.classifier import Classifier
    from linnaea.experiments.run_evaluation import evaluate_classifier, evaluate_run

    if isinstance(classifier, Classifier):
        return evaluate_classifier(classifier.allowing(max_pixels), data, prevalence, unknown)
    run = classifier if isinstance(classifier, Run) else Run.open(classifier)
    return evaluate_run(run, data, prevalence, unknown, max_pixels=max_pixels)
