"""What asking by a strategy would have brought beside asking at random, by images of the run whose labels are known."""

from dataclasses import dataclass

import numpy as np

from linnaea.classifier import Classifier
from linnaea.data.images.pixels import decode_files
from linnaea.errors import DataError
from linnaea.finding import Estimate
from linnaea.learning.query_trials import Known, accuracies, best_strength, divided
from linnaea.models.feature_cache import embed_once
from linnaea.run import Run
from linnaea.runtime.progress import track
from linnaea.statistics.repeats import corrected_t
from linnaea.task import TASKS

DRAWS = 10
MOST, FEWEST = 2_000, 60  # images
JUDGED = 1 / 4  # of the images
FIXED = ("frozen", "grown", "hog", "classical")  # rungs whose features have learnt nothing from the run's labels


@dataclass(frozen=True)
class Retrospect:
    """Mean accuracies over draws: with `labelled` labels, and after `asked` more, by the strategy and at random.

    `difference` is that of the last two, with its interval.
    """

    method: str
    images: int
    draws: int
    labelled: int
    asked: int
    before: float
    by_method: float
    at_random: float
    difference: Estimate

    def __str__(self) -> str:
        gain = self.difference
        span = "" if gain.lo is None or gain.hi is None else f" ({100 * gain.lo:+.1f} to {100 * gain.hi:+.1f})"
        shown = gain.lo is not None and gain.hi is not None and (gain.lo > 0 or gain.hi < 0)
        worse = shown and gain.value is not None and gain.value < 0
        verdict = "" if shown and not worse else " Random choice was better." if worse else " No difference is shown."
        return (
            f"In retrospect, on {self.images:,} images of the run ({self.draws} draws): {self.asked} labels beside "
            f"{self.labelled} took accuracy from {self.before:.1%} to {self.by_method:.1%} by {self.method} and to "
            f"{self.at_random:.1%} at random: {100 * (gain.value or 0.0):+.1f} points{span}.{verdict}"
        )


def known_images(run: Run, classifier: Classifier) -> Known:
    """Features and labels of the run's train and val images; of val alone where its features have learnt from train.

    The test split stays sealed. Raises DataError, saying why, where these are too few to tell anything.
    """
    dataset, fixed = run.dataset(), str(classifier.provenance.get("rung", "")).startswith(FIXED)
    splits = ("train", "val") if fixed else ("val",)
    rows = [row for row, split in enumerate(dataset.column("split")) if split in splits]
    drawn = np.sort(np.random.default_rng(0).permutation(len(rows))[:MOST])
    part = dataset.take([rows[row] for row in drawn])
    if len(part) < FEWEST:
        learnt = "" if fixed else ", as its features have learnt from the others"
        raise DataError(f"the run has {len(part)} images to tell it by{learnt}, and it takes {FEWEST}")
    decoded = decode_files(part.paths, classifier.recipe)
    same = [row for row, digest in enumerate(part.column("sha256")) if decoded.sha256[row] == digest]
    if len(same) < len(part):
        raise DataError(f"{len(part) - len(same)} images of the run have changed or are no longer in {dataset.root}")
    present = np.unique(part.targets, return_inverse=True)
    if len(present[0]) < 2:
        raise DataError("the images of the run to tell it by show one class")
    return Known(embed_once(classifier.model, decoded.images), present[1].astype(np.int64), len(present[0]))


def in_retrospect(known: Known, method: str, ratio: float, *, seed: int = 0, draws: int = DRAWS) -> Retrospect:
    """Ask for the share `ratio` of what is labelled, in images whose labels are known, over several draws.

    In each, a quarter of the images judges; of the others as many are labelled at the start that four times as many as
    are asked for remain to choose from, or half of them.
    """
    judged = round(len(known) * JUDGED)
    rest = len(known) - judged
    start = max(2 * known.classes, round(min(rest / 2, rest / (1 + 4 * ratio))))
    asked = max(1, min(round(ratio * start), (rest - start) // 2))
    strength = best_strength(known, divided(known, start, judged, seed), asked)
    found = []
    for draw in track(range(seed, seed + draws), "in retrospect", draws):
        parts = divided(known, start, judged, draw)
        ways = [accuracies(known, parts, way, [asked], strength=strength, seed=draw) for way in (method, "random")]
        found.append((ways[0][0], ways[0][1], ways[1][1]))
    before, by_method, at_random = (float(np.mean(column)) for column in zip(*found, strict=True))
    differences = [own - other for _, own, other in found]
    gain, _ = corrected_t(differences, judged / rest, judged)
    return Retrospect(method, len(known), draws, start, asked, before, by_method, at_random, gain)


def why_not(classifier: Classifier, run: Run | None, method: str) -> str:
    """Why there is no estimate; "" where there may be one."""
    if method == "random":
        return "it is random choice"
    if run is None:
        return "no run is around the classifier, whose images would tell it"
    if classifier.scorer.whole:
        return "an exported folder gives no features: name the run"
    return "several labels per image are not tried in retrospect" if TASKS[classifier.task].multilabel else ""
