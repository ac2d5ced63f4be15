"""Unknown images on purpose: classes that are left out of training, and folders of images of other things."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from linnaea.arrays import Float32
from linnaea.classifier import Classifier
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.evidence.openset.judging import OpenSet, compare_scores, judge_openset
from linnaea.experiments.embedded_files import embed_files
from linnaea.models.familiarity import Known
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.containers import Located

logger = logging.getLogger("linnaea")
NAME = "openset"
MOST_UNKNOWN = 2_000


def evaluate_held_out(
    run: Run, classifier: Classifier, held: Dataset, answers: Predictions, features: Float32, known: Known
) -> OpenSet | None:
    """Compare the images that were held out with known ones, by the classifier's score and by every other.

    `answers` are those for the known images, `features` (n, D) of the first n of them, which could be read; `known` is
    what the score was fitted on. Writes `predictions/openset.parquet`, `findings/openset.json` and the entry `openset`
    of `metrics.json`. Images that the run has learnt from since are left out, with a note. None, with a note, where the
    classifier has no score or no unknown image is left.
    """
    if classifier.ood_score is None:
        run.note("The classes held out could not be recognised as unknown: the classifier has no familiarity score.")
        return None
    seed = int(run.record().get("seed", 0))
    rows = np.sort(np.random.default_rng(seed).permutation(len(held))[:MOST_UNKNOWN])
    asked = held.take(rows.tolist())
    embedded = embed_files(classifier, asked.paths)
    rest = embedded.not_of(run)
    if len(rest) < len(asked):
        run.note(
            f"{len(asked) - len(rest)} images that were held out now belong to the run: they are no longer unknown."
        )
    if not rest:
        return None
    asked, embedded = asked.take(rest), embedded.take(rest)
    unknown = embedded.answers(classifier, asked.ids, asked.labels)
    judged = judge_openset(answers, unknown, classifier.policy, classifier.ood_score)
    readable = np.array([reason is None for reason in embedded.failed])
    hits = (answers.answers == answers.targets)[: len(features)]
    others = compare_scores(known, features, embedded.features[readable], hits, classifier.ood_score)
    judged = replace(judged, findings=[*judged.findings, others])
    _keep(run, NAME, unknown, judged)
    logger.info(judged.findings[0].summary)
    return judged


def evaluate_unknown_images(classifier: Classifier, known: Predictions, paths: Sequence[Located]) -> OpenSet:
    """Compare images of none of the classes with known ones; raises DataError where none can be read."""
    embedded = embed_files(classifier, paths)
    unknown = embedded.answers(classifier, [str(path) for path in paths], [None] * len(paths))
    return judge_openset(known, unknown, classifier.policy, _score_of(classifier))


def evaluate_unknown_folder(
    run: Run, classifier: Classifier, known: Predictions, paths: Sequence[Located], named: str
) -> OpenSet:
    """Compare images of none of the classes with known ones; what the run has used is left out with a warning.

    Writes the same files as `evaluate_held_out`, under a name made of `named` and of the images' contents. Raises
    DataError when no image remains.
    """
    embedded = embed_files(classifier, paths)
    rows = embedded.not_of(run)
    if not rows:
        raise DataError(f"every image of {named} belongs to the run: give images of other things than its classes.")
    if len(rows) < len(paths):
        logger.warning(f"{len(paths) - len(rows)} images of {named} belong to the run: they are not judged as unknown.")
    kept = embedded.take(rows)
    unknown = kept.answers(classifier, [str(paths[row]) for row in rows], [None] * len(rows))
    judged = judge_openset(known, unknown, classifier.policy, _score_of(classifier))
    content = hashlib.sha256("".join(sorted(kept.sha256)).encode()).hexdigest()[:8]
    _keep(run, f"{NAME}-{named}-{content}", unknown, judged)
    return judged


def _keep(run: Run, name: str, unknown: Predictions, judged: OpenSet) -> None:
    unknown.keep(run.folder / "predictions" / f"{name}.parquet")
    judged.write(run.folder, name)


def _score_of(classifier: Classifier) -> str:
    return classifier.ood_score or "none"
