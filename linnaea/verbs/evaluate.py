"""`evaluate`: a file of predictions, which needs no torch, a classifier, or a run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import UsageError
from linnaea.options import Grouping, Machine, Only, Option, Preparation, UnknownImages
from linnaea.options.checks import share
from linnaea.options.things import AsJson, Judged, OtherLabelled, Trusted
from linnaea.options.words import names_in
from linnaea.runtime.saying import say, say_json, say_text
from linnaea.runtime.words import counted
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.classifier import Classifier
    from linnaea.dataset import Dataset
    from linnaea.evidence.evaluation import Evaluation
    from linnaea.experiments.groups.evaluation import AskedGroups
    from linnaea.predictions import Predictions
    from linnaea.run import Run

OF_GROUPS = ("worst_group", "gaps", "small_groups", "bad_slices")


def tell(
    answer: Callable[[], "Evaluation"],
    given: Mapping[str, Any],
    *,
    every: Annotated[bool, Option("Print every figure. Default: the main ones.", flags=("--all",))] = False,
    as_json: AsJson = False,
) -> None:
    """Say the figures with their intervals and, for a run, where all of them are."""
    evaluation, run = answer(), Path(given["classifier"])
    from linnaea.run import Run

    if as_json:
        from dataclasses import asdict

        say_json({name: asdict(figure) for name, figure in evaluation.figures.items()})
        return
    say_text(str(evaluation) if every else evaluation.brief())
    if not every and (more := evaluation.details):
        say(f"{counted(more, 'more figure')}: --all prints them.")
    say(*(finding.summary for finding in evaluation.findings if finding.name in OF_GROUPS))
    if Run.is_in(run):
        say(f"The figures are in {run / 'metrics.json'}.", f"Next: linnaea report {run}")
    elif run.is_dir():
        say(f"Next: linnaea compare {run} OTHER --data {given['data']}")


@VERBS.register(
    "evaluate",
    title="Evaluate",
    meaning="Evaluate a run on its test split or on other data, or a file of predictions: every figure with an "
    "interval.",
    order=50,
)
@told_by(tell)
def evaluate(
    classifier: Judged,
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
    trust: Trusted = (),
    grouping: Grouping = Grouping(),
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("device")] = Machine(),
) -> "Evaluation":
    """Judge a classifier on labelled images, or a run on its own test split, which is counted as opened once more.

    `classifier` may also be the folder of a bundle or of an exported file, which has no test split: give it `data`.
    Images that the run around it has learnt from are left out, as for the run itself; that none is around it is said.
    In place of a classifier a file of predictions may be given, as `Predictions.write` makes it, of any size: scores
    that do not fit memory are read part by part. Every figure comes with a 95 % interval. For a run the predictions,
    figures and tables are written into its folder. Images that cannot be read count as wrong answers. `prevalence`,
    of two classes, adds what answers are worth where the positive has that share (Bayes' rule; Mercaldo et al. 2007).
    `unknown` are images of none of the classes: how many are recognised as unknown is added to the figures and the
    findings. `by` names columns of metadata, as a table of images or `manifest.csv` has them: the figures of each group
    of images, the worst one and the gaps between them are added, of pairs of columns as well, and groups of fewer than
    `smallest` images are shown but not judged. `find_slices` looks for such groups among images that look alike to the
    network, whatever columns say. Images of more than `max_pixels` (None: as in training) are not decoded. `device` is
    where it computes ("auto": the best there is that the classifier can go to). Where keys are to `trust`, one of them
    must have signed the classifier. Raises DataError when no image carries
    a known class, UsageError for a prevalence that is not a share, and for a column that the images have not.
    """
    _require_images(classifier, data)
    from linnaea.experiments.groups.evaluation import AskedGroups
    from linnaea.predictions import Predictions

    groups = AskedGroups(names_in(grouping.by), grouping.smallest, grouping.find_slices)
    if isinstance(classifier, Predictions) or (
        isinstance(classifier, str | Path) and Path(classifier).suffix == ".parquet"
    ):
        if data is not None or unknown is not None:
            where = "the first argument" if isinstance(classifier, Predictions) else classifier
            raise UsageError(f"{where} holds finished predictions: leave the data out, or give a run or a classifier.")
        if trust:
            raise UsageError("predictions are not signed: leave --trust out, or give a run or a classifier.")
        known = classifier if isinstance(classifier, Predictions) else Predictions.open(Path(classifier))
        return _of_predictions(known, groups, prevalence)
    from linnaea.classifier.signature import trusting

    with trusting(trust or None):
        return _of_classifier(classifier, data, prevalence, unknown, groups, preparation.max_pixels, machine.device)


def _of_classifier(
    classifier: "Classifier | Run | str | Path",
    data: "str | Path | Dataset | None",
    prevalence: float | None,
    unknown: "str | Path | Sequence[str | Path] | None",
    groups: "AskedGroups",
    pixels: int | None,
    device: str,
) -> "Evaluation":
    from linnaea.classifier import Classifier, load
    from linnaea.classifier.bundle import is_bundle
    from linnaea.experiments.finished_run import placed
    from linnaea.experiments.run_evaluation import evaluate_classifier, evaluate_run
    from linnaea.experiments.surrounding_run import surrounding_run
    from linnaea.run import Run

    around = None
    if isinstance(classifier, str | Path) and is_bundle(Path(classifier)) and not Run.is_in(classifier):
        folder, classifier = Path(classifier), load(classifier)
        around = surrounding_run(folder, classifier)
    if isinstance(classifier, Classifier):
        return evaluate_classifier(placed(classifier, pixels, device), data, prevalence, unknown, groups, run=around)
    run = classifier if isinstance(classifier, Run) else Run.open(classifier)
    return evaluate_run(run, data, prevalence, unknown, groups=groups, max_pixels=pixels, device=device)


def _require_images(classifier: object, data: object) -> None:
    """Raise UsageError where the folder of a bundle is given without images, before anything of it is loaded."""
    from linnaea.classifier.bundle import is_bundle
    from linnaea.run import Run

    if data is not None or not isinstance(classifier, str | Path):
        return
    if is_bundle(Path(classifier)) and not Run.is_in(classifier):
        raise UsageError(
            f"{classifier} has no images of its own: give labelled ones with --data, as in "
            f"`linnaea evaluate {classifier} --data PHOTOS`."
        )


def _of_predictions(known: "Predictions", groups: "AskedGroups", prevalence: float | None) -> "Evaluation":
    from linnaea.experiments.groups.evaluation import judge_with_groups

    if groups.find:
        raise UsageError("slices are found in the features of images, which predictions have not: give a run.")
    known.require_once()
    return judge_with_groups(known, groups, prevalence)
