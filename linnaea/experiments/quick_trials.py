"""Quick trials of a run before the release gate: its own images changed, made-up strangers, its exports once more."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.arrays import Images
from linnaea.classifier import Classifier, known_columns
from linnaea.classifier.content import DESCRIPTION
from linnaea.data.images.pixels import decode_files
from linnaea.dataset import Dataset
from linnaea.delivery.exporters import compare_again
from linnaea.delivery.exporters.parity import PARITY
from linnaea.errors import DataError, LinnaeaError
from linnaea.evidence import compare
from linnaea.evidence.gate import NotDoneError
from linnaea.evidence.gate.changes import CHANGES, STRANGERS
from linnaea.experiments.finished_run import own_images
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.containers import Located
from linnaea.runtime.files import sha256_of
from linnaea.statistics.shares import limits_of_share

logger = logging.getLogger("linnaea")


@dataclass(eq=False)
class Trials:
    """The trials of a run and its classifier; the images are decoded once, and a look at the test split counts once.

    The same trials of the same bundle show nothing new, so that they count once however often they are run.
    """

    run: Run
    classifier: Classifier
    _look: int | None = field(default=None, init=False)

    def lost(self, changes: Sequence[str], images: int) -> Mapping[str, Estimate]:
        """What each change costs in the metric of the task, the answers to the same images compared in pairs."""
        dataset, pixels = self._some(images, changes)
        before = self._answers(pixels, dataset)
        lost = {}
        for name in changes:
            change = CHANGES[name]
            if change.channels and pixels.shape[3] not in change.channels:
                continue
            after = self._answers(change.apply(pixels), dataset)
            lost[name] = _lost(before, after)
        return lost

    def strangers(self, images: int) -> Mapping[str, Estimate]:
        """The share of noise and of scrambled images that is answered neither as known nor as sure."""
        if self.classifier.ood_score is None:
            raise NotDoneError(
                "the classifier has no familiarity score: nothing is unfamiliar to it.",
                "Train with --ood auto and a model that looks at the images.",
            )
        _, pixels = self._some(images, list(STRANGERS))
        return {name: self._turned_away(make(pixels)) for name, make in STRANGERS.items()}

    def exports(self) -> list[Finding]:
        """Each export beside the run, compared with the classifier again."""
        folders = sorted(path for path in (self.run.folder / "export").glob("*") if path.is_dir())
        known = [folder for folder in folders if (folder / PARITY).is_file() and not folder.name.startswith(".")]
        if not known:
            raise NotDoneError(
                "no export lies beside the run.",
                f"linnaea export {self.run.folder}, or waive this rule with the reason.",
            )
        paths = self._images.paths
        self._count([f"export {folder.name} {_digest(folder)}" for folder in known])
        return [self._export(folder, paths) for folder in known]

    def _export(self, folder: Path, paths: Sequence[Located]) -> Finding:
        try:
            return compare_again(self.classifier, folder, paths)
        except ImportError as error:
            raise NotDoneError(str(error), "pip install 'linnaea[export]'") from None
        except (LinnaeaError, OSError, ValueError, RuntimeError) as error:
            return Finding(f"export_parity_{folder.name}", f"{folder} does not answer: {error}", "error")

    @cached_property
    def _images(self) -> Dataset:
        """The images of the test split, or of val where there is none, unless they have changed."""
        try:
            return own_images(self.run)[1]
        except DataError as error:
            raise NotDoneError(str(error), "Put the images back in place.") from None

    def _some(self, count: int, trials: Sequence[str]) -> tuple[Dataset, Images]:
        """So many of them, evenly chosen, that can be read; it is counted that `trials` look at them."""
        if count not in self._kept:
            self._kept[count] = self._decoded(count)
        self._count([f"{name} on {count}" for name in trials])
        return self._kept[count]

    @cached_property
    def _kept(self) -> dict[int, tuple[Dataset, Images]]:
        return {}

    def _decoded(self, count: int) -> tuple[Dataset, Images]:
        whole = self._images
        rows = np.linspace(0, len(whole) - 1, min(count, len(whole))).round().astype(int)
        part = whole.take(rows.tolist())
        decoded = decode_files(part.paths, self.classifier.recipe)
        readable = [row for row in range(len(part)) if row not in decoded.failed]
        if not readable:
            raise NotDoneError("none of the images of the hold-out can be read.", "Put the images back in place.")
        return part.take(readable), decoded.images[readable]

    def _answers(self, pixels: Images, dataset: Dataset) -> Predictions:
        outputs = self.classifier.score(pixels)
        return self.classifier.answer(outputs, known_columns(dataset), [None] * len(dataset))

    def _turned_away(self, pixels: Images) -> Estimate:
        outputs = self.classifier.score(pixels)
        nothing: dict[str, Sequence[Any]] = {
            "id": [str(row) for row in range(len(pixels))],
            "truth": [None] * len(pixels),
        }
        answered = self.classifier.answer(outputs, nothing, [None] * len(pixels)).answered("ok")
        away = len(pixels) - int(answered.sum())
        return Estimate(away / len(pixels), *limits_of_share(away, len(pixels)), len(pixels), "Wilson")

    def _count(self, trials: Sequence[str]) -> None:
        """Count the look at the test split: once for all trials, and not for those of this bundle that were counted."""
        looks = self.run.record()["test_opened"]
        of_bundle = [look for look in looks if look.get("bundle") == self._bundle]
        new = sorted(set(trials) - {name for look in of_bundle for name in look.get("trials", ())})
        if not new or not len(self.run.dataset().split("test")):
            return
        if self._look is None:
            self._look = len(looks)
            self.run.count_test("check", bundle=self._bundle, trials=new)
            logger.info(
                f"The quick trials look at the test split of {self.run.folder}: {len(looks) + 1} looks are counted now."
            )
            return
        looks[self._look]["trials"] += new
        self.run.update(test_opened=looks)

    @cached_property
    def _bundle(self) -> str:
        return sha256_of(self.run.model_folder / DESCRIPTION)


def _digest(folder: Path) -> str:
    """What names the files of an export: its description holds the hash of each."""
    file = folder / DESCRIPTION
    return sha256_of(file)[:12] if file.is_file() else ""


def _lost(before: Predictions, after: Predictions) -> Estimate:
    """By how much the metric of the task is lower after than before, with its interval."""
    result = compare(before, after, ("before", "after"), only_verdict=True)
    found = result.differences[result.metric]
    if found.value is None or found.lo is None or found.hi is None:
        return found
    return Estimate(0.0 - found.value, 0.0 - found.hi, 0.0 - found.lo, found.n, found.method)
