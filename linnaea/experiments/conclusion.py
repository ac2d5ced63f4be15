"""The end of every attempt that was chosen: familiarity and calibration; in a run also evaluation and what is kept."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from linnaea.arrays import Float32, Targets
from linnaea.classifier import Classifier, known_columns
from linnaea.errors import UsageError
from linnaea.evidence import write_evaluation
from linnaea.evidence.calibration import Aims, calibrate_with_findings
from linnaea.evidence.calibrator_choice import NAME as CALIBRATORS
from linnaea.evidence.calibrator_choice import is_telling
from linnaea.evidence.openset import fit_familiarity
from linnaea.experiments.asked_classes import held_out
from linnaea.experiments.attempt import FAMILIARITY_IMAGES, Attempted, Material
from linnaea.experiments.guessing import NAME as GUESSING
from linnaea.experiments.guessing import against_guessing, guess_answers, plain_answers
from linnaea.experiments.preparation import Prepared
from linnaea.experiments.run_life import timed
from linnaea.experiments.unknown_images import evaluate_held_out
from linnaea.finding import Finding
from linnaea.models.familiarity import Known
from linnaea.predictions import Predictions
from linnaea.run import NO_TEST, Run
from linnaea.statistics.spread import Sample

logger = logging.getLogger("linnaea")
FEWEST_FAMILIARITY_IMAGES = 200


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A classifier with familiarity, calibration and policy, what is to be said of its thresholds, and what it is from.

    Familiarity was fitted to `train_features` (n, D) and their `targets`; `val_features` (N, D) are those of the val
    images.
    """

    classifier: Classifier
    findings: list[Finding]
    train_features: Float32
    targets: Targets
    val_features: Float32

    @property
    def known(self) -> Known:
        """What familiarity was fitted on, for further scores."""
        return Known.of(self.classifier.model, self.train_features, self.targets, self.val_features)


def calibrated(
    chosen: Attempted,
    material: Material,
    aims: Aims | None = None,
    *,
    ood: str = "auto",
    most: int = FAMILIARITY_IMAGES,
) -> Calibrated:
    """Fit familiarity by the score `ood` on features of `most` training images, and calibration on val.

    No image is embedded twice: the features that the attempt made are used again.
    """
    classifier, rows = chosen.finished, material.familiar(most)
    seen = chosen.train_features
    features = chosen.embed(material.train.images[rows]) if seen is None else seen[rows]
    fresh = chosen.val_features
    if fresh is None:
        fresh = chosen.embed(material.val.images)
    targets = material.train.targets[rows]
    familiarity = fit_familiarity(classifier.model, features, targets, fresh=fresh, name=ood)
    classifier = classifier.with_(familiarity=familiarity)
    outputs = classifier.score_features(fresh)
    units = Sample.of(len(material.val), material.columns.get("group")).unit_of
    classifier, findings = calibrate_with_findings(classifier, outputs, material.val.targets, aims, units)
    return Calibrated(classifier, findings, features, targets, fresh)


def conclude(
    chosen: Attempted,
    material: Material,
    prepared: Prepared,
    aims: Aims,
    run: Run,
    *,
    ood: str = "auto",
    deadline: float = math.inf,
    guess: Attempted,
    fair: Callable[[Calibrated], Calibrated] | None = None,
) -> Classifier:
    """Calibrate what was chosen, evaluate it on val and once on test, and save the bundle with its evidence.

    It is compared with the `guess` on test. Familiarity is fitted on fewer images where not all can be embedded before
    the `deadline`, a time of `time.monotonic`, and the test images as well. `fair` sets thresholds for groups, and
    says which have none.
    """
    with timed(run, "calibrate"):
        try:
            ready = calibrated(chosen, material, aims, ood=ood, most=_affordable(chosen, material, deadline))
        except UsageError as error:
            raise UsageError(f"{error} With --resume and another --aim, finished training is kept.") from None
        if fair is not None:
            ready = fair(ready)
        _tell_calibration(run, ready.findings)
        classifier = ready.classifier.with_(provenance={**ready.classifier.provenance, **_facts(ready.classifier, run)})
        classifier.save(run.model_folder)
    with timed(run, "evaluate"):
        features = ready.val_features
        answers = _evaluate(classifier, features, prepared, run, "val")
        if material.tests:
            run.count_test(run.made_by)
            features = chosen.embed(prepared.decoded.images[prepared.rows("test")])
            answers = _evaluate(classifier, features, prepared, run, "test")
            _compare_with_guess(chosen, classifier, guess, features, prepared, run)
        else:
            run.note(NO_TEST)
            logger.warning(NO_TEST)
    if (held := held_out(prepared.dataset)) is not None:
        with timed(run, "open set"):
            evaluate_held_out(run, classifier, held, answers, features, ready.known)
    return classifier


def _facts(classifier: Classifier, run: Run) -> dict[str, Any]:
    """What the classifier says of the run that it comes from."""
    record = run.record()
    facts = {
        "linnaea": record["linnaea"],
        "versions": record["versions"],
        "dataset": record["dataset"]["fingerprint"],
        "trained": record["started"],
        "run": run.folder.name,
    }
    return facts | ({"positive": classifier.classes[1]} if classifier.task == "binary" else {})


def _tell_calibration(run: Run, found: list[Finding]) -> None:
    """Write down what was found about the calibrator and about thresholds, and say what is no matter of course."""
    calibrators = [finding for finding in found if finding.name == CALIBRATORS]
    thresholds = [finding for finding in found if finding.name != CALIBRATORS]
    run.write_findings("calibration", calibrators)
    if thresholds:
        run.write_findings("thresholds", thresholds)
    for finding in [*filter(is_telling, calibrators), *thresholds]:
        logger.log(logging.INFO if finding.severity == "info" else logging.WARNING, finding.summary)


def _affordable(chosen: Attempted, material: Material, deadline: float) -> int:
    """How many training images can be embedded in time, of the 2,000 that familiarity is fitted on at the most."""
    if deadline == math.inf or chosen.train_features is not None or chosen.cost is None:
        return FAMILIARITY_IMAGES
    in_time = int((deadline - time.monotonic()) * chosen.cost.images_per_second) - material.tests
    return max(FEWEST_FAMILIARITY_IMAGES, min(FAMILIARITY_IMAGES, in_time))


def _compare_with_guess(
    chosen: Attempted, classifier: Classifier, guess: Attempted, features: Float32, prepared: Prepared, run: Run
) -> None:
    """Write down whether it is better than guessing on the test images; of val it was said when it was chosen."""
    if chosen.baseline:
        return
    images = prepared.dataset.take(prepared.rows("test").tolist())
    answers = plain_answers(classifier, features, images)
    found = against_guessing(guess_answers(guess, images), answers, chosen.name, "test")
    run.write_findings(GUESSING, [found] if found is not None else [])


def _evaluate(classifier: Classifier, features: Float32, prepared: Prepared, run: Run, name: str) -> Predictions:
    rows = prepared.rows(name)
    part = prepared.dataset.take(rows.tolist()).with_unreadable(name)
    reasons = {entry.path: entry.reason for entry in prepared.dataset.excluded}
    lost = [reasons[path] for path in part.ids[len(rows) :]]
    outputs = classifier.score_features(features).lengthened(len(lost))
    answers = classifier.answer(outputs, known_columns(part), [*[None] * len(rows), *lost])
    write_evaluation(answers, run.folder, name, classifier.policy)
    return answers
