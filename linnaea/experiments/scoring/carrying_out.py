"""A scoring from beginning to end: list the images, score what is missing, and make one file of the parts."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from linnaea.classifier import Classifier
from linnaea.classifier.bundle import is_bundle
from linnaea.classifier.signature import Trust
from linnaea.experiments.finished_run import finished_classifier, placed
from linnaea.experiments.scoring.job import IMAGES, Asked, Job, is_begun, resumed, rows_of_part
from linnaea.experiments.scoring.listing import Listing, listed
from linnaea.experiments.scoring.parts import answered, finished, joined
from linnaea.predictions import Predictions
from linnaea.runtime.containers import let_go
from linnaea.runtime.locks import held
from linnaea.runtime.progress import advancing
from linnaea.runtime.words import counted

PARTS = ".parts"  # after the name of the file
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Scored:
    """What came of a scoring: the file, its images by their reason, and what it took.

    `kept` images were scored before, by a scoring that was stopped; `seconds` are those of scoring the others.
    """

    file: Path
    images: int
    reasons: Mapping[str, int]
    kept: int
    seconds: float

    @property
    def rate(self) -> float:
        """Images a second, of those that were scored now."""
        return (self.images - self.kept) / self.seconds if self.seconds else 0.0

    @property
    def predictions(self) -> Predictions:
        """The answers; scores and probabilities stay in the file until they are asked for."""
        return Predictions.open(self.file)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {**asdict(self), "file": str(self.file), "images_per_second": round(self.rate, 1)}

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())
        before = f", {self.kept:,} of them before" if self.kept else ""
        return f"{counted(self.images, 'image')}{before}: {counts}. {self.rate:,.0f} images a second."


def score(
    given: str | Path,
    images: str | Path | Sequence[str | Path],
    out: Path,
    *,
    options: Mapping[str, Any],
    on: str = "here",
    trust: Trust = None,
) -> Scored:
    """Score images into a Parquet file, going on from the parts of a scoring that was stopped; see `linnaea.score`.

    `options` are `damaged`, `max_pixels`, `precision` and `device`.
    """
    parts, folder = out.with_name(out.name + PARTS), bundle_folder(Path(given))
    parts.parent.mkdir(parents=True, exist_ok=True)
    classifier = placed(finished_classifier(given, trust), options["max_pixels"], options["device"])
    classifier.require_precision(options["precision"])
    asked = Asked.of(folder, **{**options, "device": classifier.scorer.device})
    with held(parts):
        listing = listed(images)
        job = _begun(parts, asked, folder.resolve(), listing, classifier)
        done = finished(job)
        missing = [number for number in range(job.parts) if number not in done]
        before = sum(stop - start for start, stop in map(job.span, done))
        if before:
            logger.info(f"{before:,} of {job.images:,} images were scored before and are kept.")
        began = time.perf_counter()
        makers: dict[str, Callable[[], Iterator[int]]] = {
            "here": lambda: _one_by_one(job, missing, listing, classifier),
            "ray": lambda: _side_by_side(job, missing, trust),
        }
        _followed(job, makers[on](), before)
        seconds = time.perf_counter() - began
        reasons = joined(job, finished(job), listing, out)
        shutil.rmtree(parts)
    return Scored(out, job.images, reasons, before, round(seconds, 3))


def bundle_folder(given: Path) -> Path:
    """The folder of the bundle that a path names: itself, or the one in the run."""
    return given if is_bundle(given) else given / "model"


def _begun(parts: Path, asked: Asked, folder: Path, listing: Listing, classifier: Classifier) -> Job:
    base = Path.cwd()
    if is_begun(parts):
        return resumed(parts, asked, folder, base, listing)
    first = listing.files(0, min(len(listing), 4096), base)
    plan = classifier.measured(first, asked.precision)
    told = None if plan is None else plan.to_json()
    job = Job(parts, folder, base, asked, len(listing), rows_of_part(len(classifier.classes)), told)
    listing.write(parts / IMAGES)
    job.record()
    return job


def _one_by_one(job: Job, missing: Sequence[int], listing: Listing, classifier: Classifier) -> Iterator[int]:
    """Make the parts in this process; the number of each that is there."""
    for number in missing:
        answered(job, number, listing, classifier)
        let_go()  # of shards, which are as good as read
        yield number


def _side_by_side(job: Job, missing: Sequence[int], trust: Trust) -> Iterator[int]:
    from linnaea.experiments.scoring.on_ray import side_by_side

    return side_by_side(job, missing, trust)


def _followed(job: Job, numbers: Iterator[int], before: int) -> None:
    """Say how far it is and how fast; where it is stopped, what is kept."""
    done, began = before, time.perf_counter()
    try:
        with advancing("scoring") as work:
            for number in numbers:
                start, stop = job.span(number)
                done += stop - start
                rate = (done - before) / max(1e-9, time.perf_counter() - began)
                told = f"{done:,} of {job.images:,} images, {rate:,.0f} a second"
                work.tell(done / job.images, lambda told=told: told)  # type: ignore[misc]
    except BaseException:
        logger.warning(
            f"{done:,} of {job.images:,} images are scored and kept in {job.folder}: the same command goes on from "
            "there."
        )
        raise
