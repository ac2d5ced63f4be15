"""The end of every run: the chosen rung gets its familiarity and calibration, and is evaluated and saved."""

import logging
import math
import time

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Integers
from linnaea.classifier import Classifier, known_columns
from linnaea.errors import UsageError
from linnaea.evidence import write_evaluation
from linnaea.evidence.calibration import Aims, calibrate_with_findings
from linnaea.evidence.openset import fit_familiarity
from linnaea.experiments.asked_classes import held_out
from linnaea.experiments.examples import FAMILIARITY_IMAGES, familiarity_rows
from linnaea.experiments.ladder import RungResult
from linnaea.experiments.preparation import Prepared
from linnaea.experiments.run_life import timed
from linnaea.experiments.unknown_images import evaluate_held_out
from linnaea.finding import Finding
from linnaea.models.embedding import embed
from linnaea.models.familiarity import Known
from linnaea.models.feature_cache import embed_once
from linnaea.predictions import Predictions
from linnaea.run import NO_TEST, Run

logger = logging.getLogger("linnaea")
FEWEST_FAMILIARITY_IMAGES = 200


def conclude(
    result: RungResult,
    prepared: Prepared,
    aims: Aims,
    run: Run,
    *,
    ood: str = "auto",
    deadline: float = math.inf,
) -> Classifier:
    """Fit familiarity by the score `ood` on training features and calibration on val, evaluate, and save the bundle.

    No image is embedded twice: the features that the ladder made are used again. Familiarity is fitted on fewer images
    where not all can be embedded before the `deadline`, a time of `time.monotonic`, and the test images as well.
    """
    assert result.classifier is not None, "only a finished rung is chosen"
    classifier, targets = result.classifier, prepared.dataset.targets
    val = prepared.rows("val")
    with timed(run, "calibrate"):
        rows = familiarity_rows(prepared, _affordable(result, prepared, deadline))
        features = _features(result, prepared, rows)
        val_features = result.val_features
        if val_features is None:
            val_features = embed(classifier.model, prepared.decoded.images[val])
        familiarity = fit_familiarity(classifier.model, features, targets[rows], fresh=val_features, name=ood)
        classifier = classifier.with_(familiarity=familiarity)
        outputs = classifier.score_features(val_features)
        try:
            classifier, told = calibrate_with_findings(classifier, outputs, targets[val], aims)
        except UsageError as error:
            raise UsageError(f"{error} With --resume and another --aim, finished training is kept.") from None
        _tell_thresholds(run, told)
        record = run.record()
        facts = {
            "linnaea": record["linnaea"],
            "dataset": record["dataset"]["fingerprint"],
            "trained": record["started"],
        } | ({"positive": classifier.classes[1]} if classifier.task == "binary" else {})
        classifier = classifier.with_(provenance={**classifier.provenance, **facts, "run": run.folder.name})
        classifier.save(run.model_folder)
    with timed(run, "evaluate"):
        seen = val_features
        answers = _evaluate(classifier, seen, prepared, run, "val")
        test = prepared.rows("test")
        if len(test):
            run.count_test("train")
            fixed = result.train_features is not None
            seen = (embed_once if fixed else embed)(classifier.model, prepared.decoded.images[test])
            answers = _evaluate(classifier, seen, prepared, run, "test")
        else:
            run.note(NO_TEST)
            logger.warning(NO_TEST)
    if (held := held_out(prepared.dataset)) is not None:
        with timed(run, "open set"):
            known = Known.of(classifier.model, features, targets[rows], val_features)
            evaluate_held_out(run, classifier, held, answers, seen, known)
    return classifier


def _tell_thresholds(run: Run, found: list[Finding]) -> None:
    """Write down what was found about thresholds, and say it where there are any."""
    if found:
        run.write_findings("thresholds", found)
    for finding in found:
        logger.log(logging.INFO if finding.severity == "info" else logging.WARNING, finding.summary)


def _affordable(result: RungResult, prepared: Prepared, deadline: float) -> int:
    """How many training images can be embedded in time, of the 2,000 that familiarity is fitted on at the most."""
    if deadline == math.inf or result.train_features is not None:
        return FAMILIARITY_IMAGES
    seconds = deadline - time.monotonic()
    in_time = int(seconds * float(result.row["images_per_second"])) - len(prepared.rows("test"))
    return max(FEWEST_FAMILIARITY_IMAGES, min(FAMILIARITY_IMAGES, in_time))


def _features(result: RungResult, prepared: Prepared, rows: Integers) -> npt.NDArray[np.float32]:
    """Features of these training rows, from the ladder where it has them."""
    assert result.classifier is not None
    if result.train_features is not None:
        return result.train_features[np.searchsorted(prepared.rows("train"), rows)]
    return embed(result.classifier.model, prepared.decoded.images[rows])


def _evaluate(
    classifier: Classifier, features: npt.NDArray[np.float32], prepared: Prepared, run: Run, name: str
) -> Predictions:
    rows = prepared.rows(name)
    part = prepared.dataset.take(rows.tolist()).with_unreadable(name)
    columns = known_columns(part)
    reasons = {entry.path: entry.reason for entry in prepared.dataset.excluded}
    lost = [reasons[path] for path in part.ids[len(rows) :]]
    outputs = classifier.score_features(features).lengthened(len(lost))
    answers = classifier.answer(outputs, columns, [*[None] * len(rows), *lost])
    write_evaluation(answers, run.folder, name, classifier.policy)
    return answers
