"""`evaluate`: a file of predictions, which needs no torch, a classifier, or a run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import Machine, Only, Option, Preparation, UnknownImages
from linnaea.options.checks import share
from linnaea.options.things import Answering, AsJson, OtherLabelled
from linnaea.runtime.saying import say, say_json, say_text
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.evidence.evaluation import Evaluation


def tell(answer: Callable[[], "Evaluation"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say every figure with its interval and, for a run, where they are."""
    evaluation, run = answer(), Path(given["classifier"])
    from linnaea.run import Run

    if as_json:
        from dataclasses import asdict

        say_json({name: asdict(figure) for name, figure in evaluation.figures.items()})
        return
    say_text(str(evaluation))
    if Run.is_in(run):
        say(f"The figures are in {run / 'metrics.json'}.", f"Next: linnaea report {run}")


@VERBS.register(
    "evaluate",
    title="Evaluate",
    meaning="Evaluate a run on its test split or on other data, or a file of predictions: every figure with an "
    "interval.",
    order=50,
)
@told_by(tell)
def evaluate(
    classifier: Answering,
    data: OtherLabelled = None,
    *,
    prevalence: Annotated[
        float | None,
        Option(
            "Share of positives where the run will be used, for two-class data. Default: that of the images.",
            share(0.01),
        ),
    ] = None,
    unknown: UnknownImages = None,
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("device")] = Machine(),
) -> "Evaluation":
    """Judge a classifier on labelled images, or a run on its own test split, which is counted as opened once more.

    `classifier` may also be the folder of a bundle or of an exported file, which has no test split: give it `data`.
    In place of a classifier a file of predictions may be given, as `Predictions.write` makes it, of any size: scores
    that do not fit memory are read part by part. Every figure comes with a 95 % interval. For a run the predictions,
    figures and tables are written into its folder. Images that cannot be read count as wrong answers. `prevalence`, of
    two classes, adds what answers are worth where the positive one has that share (Bayes' rule; Mercaldo et al. 2007).
    `unknown` are images of none of the classes: how many are recognised as unknown is added to the figures and the
    findings. Images of more than `max_pixels` (None: as in training) are not decoded. `device` is where it computes
    ("auto": the best there is that the classifier can go to). Raises DataError when no image carries a known class,
    UsageError for a prevalence that is not a share.
    """
    if isinstance(classifier, str | Path) and Path(classifier).suffix == ".parquet":
        from linnaea.evidence.evaluation import judge
        from linnaea.predictions import Predictions

        if data is not None or unknown is not None:
            raise UsageError(
                f"{classifier} holds finished predictions: leave the data out, or give a run or a classifier."
            )
        return judge(Predictions.open(Path(classifier)), prevalence=prevalence)
    from linnaea.classifier import Classifier, load
    from linnaea.classifier.bundle import is_bundle
    from linnaea.experiments.run_evaluation import evaluate_classifier, evaluate_run, placed
    from linnaea.run import Run

    pixels, device = preparation.max_pixels, machine.device
    if isinstance(classifier, str | Path) and is_bundle(Path(classifier)) and not Run.is_in(classifier):
        classifier = load(classifier)
    if isinstance(classifier, Classifier):
        return evaluate_classifier(placed(classifier, pixels, device), data, prevalence, unknown)
    run = classifier if isinstance(classifier, Run) else Run.open(classifier)
    return evaluate_run(run, data, prevalence, unknown, max_pixels=pixels, device=device)
