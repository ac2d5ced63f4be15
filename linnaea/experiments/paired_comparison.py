"""Two classifiers on the same images: runs by what they left, others by what they answer now."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from linnaea.classifier.bundle import is_bundle
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.evidence.comparison.two import Comparison
from linnaea.evidence.comparison.two import compare as compare_predictions
from linnaea.predictions import Predictions
from linnaea.run import Run

if TYPE_CHECKING:
    from linnaea.classifier import Classifier

logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Side:
    """One of the two: a run, a bundle or an exported folder, or a file of predictions."""

    given: Path
    run: Run | None = None

    @classmethod
    def of(cls, given: str | Path) -> "Side":
        """What a path names; raises RunError where it is none of them."""
        path = Path(given)
        if (path.suffix == ".parquet" and path.is_file()) or (is_bundle(path) and not Run.is_in(path)):
            return cls(path)
        run = Run.open(path)
        run.require_finished()
        return cls(path, run)

    @property
    def made_by(self) -> Run | None:
        """The run itself, or the one in whose folder a bundle lies; None where that is not known."""
        if self.run is not None or self.given.suffix == ".parquet":
            return self.run
        from linnaea.experiments.surrounding_run import surrounding_run

        return surrounding_run(self.given, self.classifier)

    @cached_property
    def classifier(self) -> "Classifier":
        """Its classifier, loaded once."""
        from linnaea.classifier import load

        return load(self.given)

    @property
    def kept(self) -> Predictions | None:
        """Its finished predictions: those of the run's own split, or of the file."""
        if self.run is not None:
            return self.run.predictions(self.run.judged_on)
        return Predictions.open(self.given) if self.given.suffix == ".parquet" else None

    def answers(self, images: Dataset) -> Predictions:
        """What it answers for these images now; a file of predictions has no further answers."""
        from linnaea.experiments.evaluation_images import known_images

        if self.given.suffix == ".parquet":
            raise UsageError(f"{self.given} holds finished predictions: leave --data out, or give its classifier.")
        return self.classifier.predict(known_images(images, self.classifier))


def compare_sides(first: str | Path, second: str | Path, data: str | Path | Dataset | None = None) -> Comparison:
    """Compare two classifiers on the images they have in common, by a paired test; see `linnaea.compare`."""
    sides = Side.of(first), Side.of(second)
    if sides[0].given.resolve() == sides[1].given.resolve():
        raise UsageError(f"{first} and {second} are the same: name two different classifiers.")
    runs = [side.run for side in sides if side.run is not None]
    split = _split_of(runs) if data is None else ""
    if data is None:
        parts = _kept_or_new(sides, runs)
    else:
        images = unseen_images(sides, data)
        parts = sides[0].answers(images), sides[1].answers(images)
    shown = [side.given.resolve().name for side in sides]
    if shown[0] == shown[1]:
        shown = [str(side.given) for side in sides]
    comparison = compare_predictions(*parts, (shown[0], shown[1]))
    if split == "test":
        _count(sides, shown)
    return comparison


def _split_of(runs: list[Run]) -> str:
    """The split that all runs were judged on, whose images have the same content in each."""
    names = [run.judged_on for run in runs]
    if len(set(names)) > 1:
        raise DataError(
            f"{runs[0].folder} was judged on {names[0]} and {runs[1].folder} on {names[1]}: expected the same split; "
            "evaluate both on the same data."
        )
    if len(runs) == 2:
        require_same_images(*runs)
    return names[0] if names else ""


def _kept_or_new(sides: tuple[Side, Side], runs: list[Run]) -> tuple[Predictions, Predictions]:
    """The finished predictions of each side or, where it has none, new ones on the images the run was judged on."""
    kept = [side.kept for side in sides]
    first, second = (_new(side, runs) if found is None else found for side, found in zip(sides, kept, strict=True))
    return first, second


def _new(side: Side, runs: list[Run]) -> Predictions:
    from linnaea.experiments.finished_run import own_images

    if not runs:
        raise UsageError(f"{side.given} has no images of its own: give labelled ones with --data.")
    return side.answers(own_images(runs[0])[1])


def unseen_images(sides: Iterable[Side], data: str | Path | Dataset) -> Dataset:
    """The labelled images that no side was trained or tuned on, as far as a run around each tells; warns of the others.

    Raises DataError when none remain.
    """
    from linnaea.data.sources import read
    from linnaea.experiments.run_evaluation import apart

    images, known = data if isinstance(data, Dataset) else read(data), {}
    for side in sides:
        run = side.made_by
        if run is not None:
            known[run.folder.resolve()] = run
        elif side.given.suffix != ".parquet":
            logger.warning(
                f"It is not known which of these images {side.given} has learnt from: no run lies around it. Figures "
                "on such images are too good."
            )
    for run in known.values():
        images = apart(run, images)
    return images


def _count(sides: tuple[Side, Side], shown: list[str]) -> None:
    """Count the look at the test split in each run."""
    for side, other in zip(sides, reversed(shown), strict=True):
        if side.run is not None:
            with side.run.locked():
                side.run.count_test(f"compare with {other}")
    both = "both runs" if all(side.run is not None for side in sides) else "the run"
    logger.info(f"This counts as one more look at the test split of {both}.")


def require_same_images(first: Run, second: Run) -> None:
    """Raise DataError where images of the two runs share a name but not their content."""
    hashes = [dict(zip(run.dataset().ids, run.dataset().column("sha256"), strict=True)) for run in (first, second)]
    shared = hashes[0].keys() & hashes[1].keys()
    differing = [path for path in shared if hashes[0][path] != hashes[1][path]]
    if differing:
        raise DataError(
            f"{len(differing)} of {len(shared)} images have the same name in both runs but different content (first "
            f"{min(differing)}): runs can only be compared on the same images."
        )
