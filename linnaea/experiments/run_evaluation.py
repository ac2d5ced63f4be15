"""Classifiers and runs judged on images: their own test split, others with labels, and such of none of the classes."""

import logging
from collections.abc import Sequence
from pathlib import Path

from linnaea.classifier import Classifier, load
from linnaea.data.hashing import hash_files
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.evidence.evaluation import Evaluation, judge, write_evaluation
from linnaea.evidence.prevalence import require_prevalence
from linnaea.experiments.evaluation_images import known_images
from linnaea.experiments.finished_run import own_images, placed
from linnaea.experiments.groups.evaluation import NOTHING, AskedGroups, keep_groups, with_groups
from linnaea.experiments.groups.slices import SHEET, discovered, require_features
from linnaea.experiments.image_files import image_files
from linnaea.experiments.unknown_images import evaluate_unknown_folder, evaluate_unknown_images
from linnaea.run import NO_TEST, Run

logger = logging.getLogger("linnaea")
NOT_KNOWN = "It is not known which of these images the classifier has learnt from: no run lies around it."
Data = str | Path | Dataset
Unknown = str | Path | Sequence[str | Path]


def evaluate_classifier(
    classifier: Classifier,
    data: Data | None,
    prevalence: float | None = None,
    unknown: Unknown | None = None,
    groups: AskedGroups = NOTHING,
    *,
    run: Run | None = None,
) -> Evaluation:
    """Judge a classifier on labelled images, without those that the `run` it is of has learnt from.

    Warns where no run is known, and with it nothing of what it has learnt from; see `linnaea.evaluate`.
    """
    if data is None:
        raise DataError("a classifier without a run has no images of its own: give labelled ones with --data.")
    require_prevalence(classifier.task, prevalence)
    others = None if unknown is None else image_files(unknown)
    if groups.find:
        require_features(classifier)
    dataset = known_images(data, classifier)
    groups.slices(dataset)  # before it is a look at the test images
    dataset = _unseen(run, dataset)
    slicings = groups.slices(dataset)
    predictions = classifier.predict(dataset)
    judged = judge(predictions, classifier.policy, prevalence=prevalence)
    judged = with_groups(judged, slicings, groups.smallest)
    if groups.find:
        judged = judged.with_more({}, discovered(classifier, dataset, predictions))
    if others is None:
        return judged
    openset = evaluate_unknown_images(classifier, predictions, others)
    return judged.with_more(openset.figures, openset.findings)


def evaluate_run(
    run: Run,
    data: Data | None = None,
    prevalence: float | None = None,
    unknown: Unknown | None = None,
    *,
    groups: AskedGroups = NOTHING,
    max_pixels: int | None = None,
    device: str = "auto",
) -> Evaluation:
    """Judge a run on its own test split, or on other labelled images, and write what was found into its folder."""
    run.require_finished()
    with run.locked():
        return _evaluated(run, data, prevalence, unknown, placed(load(run.model_folder), max_pixels, device), groups)


def _evaluated(
    run: Run,
    data: Data | None,
    prevalence: float | None,
    unknown: Unknown | None,
    loaded: Classifier,
    groups: AskedGroups,
) -> Evaluation:
    require_prevalence(loaded.task, prevalence)
    if groups.find:
        require_features(loaded)
    others = None if unknown is None else image_files(unknown)
    if data is None:
        groups.slices(run.dataset().split(run.judged_on))  # before all files are read
        name, dataset = own_images(run)
    else:
        known = known_images(data, loaded)
        groups.slices(known)  # before it is a look at the test images
        dataset = apart(run, known)
        name = f"{dataset.root.resolve().name}-{dataset.fingerprint[:8]}"
    slicings = groups.slices(dataset)
    answers = loaded.predict(dataset)
    evaluation = write_evaluation(answers, run.folder, name, loaded.policy, prevalence=prevalence)
    judged = with_groups(evaluation, slicings, groups.smallest)
    if groups.find:
        judged = judged.with_more({}, discovered(loaded, dataset, answers, run.folder / SHEET))
    evaluation = keep_groups(run, name, evaluation, judged, groups)
    if data is None and name == "val":
        logger.warning(NO_TEST)
    if name == "test":
        run.count_test("evaluate")
        times = len(run.record()["test_opened"])
        logger.info(f"The test split of {run.folder} has been opened {times} times; each look is counted.")
    if unknown is None or others is None:
        return evaluation
    named = Path(unknown if isinstance(unknown, str | Path) else unknown[0]).resolve().name
    openset = evaluate_unknown_folder(run, loaded, answers, others, named)
    return evaluation.with_more(openset.figures, openset.findings)


def _unseen(run: Run | None, dataset: Dataset) -> Dataset:
    """What a run has not learnt from; all, with a warning, where the run is not known."""
    if run is None:
        logger.warning(f"{NOT_KNOWN} Figures on such images are too good.")
        return dataset
    with run.locked():
        return apart(run, dataset)


def apart(run: Run, dataset: Dataset) -> Dataset:
    """The images that the run was neither trained nor tuned on, by their content; those of its test split are counted.

    Raises DataError when none remain.
    """
    own = run.dataset()
    split_of = dict(zip(own.column("sha256"), own.column("split"), strict=True))
    hashes = ["" if isinstance(digest, Exception) else digest for digest in hash_files(dataset.paths)]
    seen = [split_of.get(digest) for digest in hashes]
    rows = [row for row, split in enumerate(seen) if split not in ("train", "val")]
    if not rows:
        raise DataError(f"the run was trained or tuned on every image of {dataset.root}: judge it on other images.")
    if len(rows) < len(dataset):
        logger.warning(f"{len(dataset) - len(rows)} images are not judged: the run was trained or tuned on them.")
    if "test" in seen:
        run.count_test(f"evaluate on {dataset.root}")
    return dataset.with_column("sha256", hashes).take(rows)
