"""The watch over models that are served: what each version was judged on, and who is told of a change."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from linnaea.classifier import Classifier
from linnaea.classifier.bundle import bundle_folder
from linnaea.data.images.looks import LOOKS, looks_of
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import decode_in_batches, read_content
from linnaea.delivery.monitoring.alerts import channels_of
from linnaea.delivery.monitoring.live import Reference, Watching, WatchSettings
from linnaea.delivery.monitoring.seen import Seen
from linnaea.delivery.serving.contract import Observer
from linnaea.delivery.serving.models import Served
from linnaea.errors import LinnaeaError, UsageError
from linnaea.experiments.finished_run import own_images
from linnaea.experiments.surrounding_run import surrounding_run
from linnaea.options import Monitoring
from linnaea.run import Run
from linnaea.runtime.boundary import reason_of
from linnaea.runtime.containers import Located

if TYPE_CHECKING:
    from fastapi import APIRouter

logger = logging.getLogger("linnaea")
MOST = 10_000  # images of a reference that are looked at
VAL = (
    "The run has no test split: the reference is val, which also chose the model, and may be answered with more "
    "confidence than new images are."
)


@dataclass(frozen=True)
class Watched:
    """What a server has of the watch over its models: nothing where none was asked for."""

    watching: Watching | None = None

    @property
    def observers(self) -> Sequence[Observer]:
        """Who is told of its answers."""
        return [] if self.watching is None else [self.watching]

    @property
    def routers(self) -> "Sequence[APIRouter]":
        """`/monitor` and `/monitor.json`."""
        if self.watching is None:  # then nothing is imported that draws
            return []
        from linnaea.delivery.monitoring.live.page import monitor_routes

        return [monitor_routes(self.watching)]


def watch_as_asked(asked: Monitoring, images: Path | None = None) -> Callable[..., Watched]:
    """What makes the watch over models once they are loaded, by `worker` 1 to `workers`.

    Each worker watches its own answers, with its part of the rate of false alarms. `images` is where the audit log
    keeps them. Raises UsageError, before anything is loaded, for alerts that cannot be, and a folder that is none.
    """
    if asked.monitor is None:
        return lambda models, worker=1, workers=1: Watched()
    channels, folder = channels_of(asked.alert), Path(asked.monitor)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"what is watched cannot be kept in {folder}: {reason_of(error)}.") from None

    def watch(models: Iterable[Served], worker: int = 1, workers: int = 1) -> Watched:
        settings = WatchSettings(window=asked.window, rate=asked.alarm_rate / workers)
        own = folder / f"worker-{worker}" if workers > 1 else folder
        notes = (f"These are the answers of worker {worker} of {workers}.",) if workers > 1 else ()
        return Watched(Watching(references(models), settings, channels, own, images, notes))

    return watch


def references(models: Iterable[Served]) -> Callable[[str], Reference | None]:
    """What the version with a digest was judged on, of models that may be exchanged while they are served."""

    def of(digest: str) -> Reference | None:
        served = next((one for one in models if one.digest == digest), None)
        if served is None:
            return None
        try:
            return reference_of(served)
        except LinnaeaError as error:
            logger.warning(f"{served.name} {served.version} is not watched: {error}")
            return None

    return of


def reference_of(served: Served) -> Reference | None:
    """What the run around a model said of the images that it was judged on; None, with a warning, where there is none.

    Raises RunError where the predictions of the run are not there.
    """
    run = _run_of(served)
    if run is None:
        logger.warning(
            f"{served.name} {served.version} is not watched: {served.source.place} does not lie in the folder of its "
            "run, and nobody knows what it was judged on."
        )
        return None
    split, classifier = run.judged_on, served.classifier
    seen, notes = Seen.of_predictions(run.predictions(split)), [] if split == "test" else [VAL]
    if len(seen) > MOST:
        seen = seen.take(np.sort(np.random.default_rng(0).permutation(len(seen))[:MOST]))
        notes.append(f"{MOST:,} images of the reference, drawn by the seed 0, are looked at.")
    seen, fault = _with_looks(seen, run, classifier)
    named = f"the {split} split of {run.folder.resolve().name}"
    told = (*notes, *([fault] if fault else []))
    return Reference(classifier.classes, classifier.task, classifier.policy, seen, named, told)


def _run_of(served: Served) -> Run | None:
    """The run that the source of a model is, or that lies around it."""
    place = Path(served.source.place)
    return Run.open(place) if Run.is_in(place) else surrounding_run(bundle_folder(place), served.classifier)


def _with_looks(seen: Seen, run: Run, classifier: Classifier) -> tuple[Seen, str]:
    """With what the images look like, as far as they are at hand, and what is wrong."""
    try:
        _, dataset = own_images(run)
    except LinnaeaError as error:
        return seen, f"Pixels are not compared: {error}"
    places = dict(zip(dataset.ids, dataset.paths, strict=True))
    there = [row for row, name in enumerate(seen.ids) if name in places]
    seen = seen.take(there)
    found = looks_in([places[name] for name in seen.ids], classifier)
    return seen.with_(looks={name: np.array([one.get(name, np.nan) for one in found]) for name in LOOKS}), ""


def looks_in(paths: list[Located], classifier: Classifier) -> list[dict[str, float]]:
    """What image files look like to a classifier; nothing of those that cannot be read."""
    found = list[dict[str, float]]()
    for decoded in decode_in_batches(paths, classifier.recipe):
        for row in range(len(decoded.sha256)):
            place = paths[len(found)]
            try:
                known = row not in decoded.failed
                most = classifier.recipe.max_pixels
                found.append(looks_of(decoded.images[row], read_content(place), most) if known else {})
            except UnreadableError:
                found.append({})
    return found
