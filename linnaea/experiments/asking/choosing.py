"""What to label next: images without labels, chosen by a query strategy."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.classifier import Classifier
from linnaea.data.images.pixels import decode_files
from linnaea.errors import DataError, UsageError
from linnaea.experiments.asking.retrospect import Retrospect, in_retrospect, known_images, why_not
from linnaea.experiments.asking.unlabelled import Seen, chosen_without_copies, look_at, told_of, usable
from linnaea.experiments.surrounding_run import surrounding_run
from linnaea.learning.queries.contract import QUERIES, needs_of
from linnaea.models.feature_cache import embed_once
from linnaea.run import Run
from linnaea.runtime.cells import as_csv
from linnaea.runtime.containers import Located
from linnaea.runtime.files import write_text
from linnaea.runtime.words import counted
from linnaea.task import TASKS

COLUMNS = ("path", "label", "answer", "confidence", "reason", "ood_score", "information", "sha256")
SHOWN = 10


@dataclass(frozen=True)
class Asked:
    """The chosen images, the first to be labelled first: a row each, and why images were left out.

    `retrospect` says what choosing so would have brought, None where `untold` says why there is no estimate.
    """

    method: str
    images: int
    rows: list[dict[str, Any]]
    left_out: dict[str, int]
    retrospect: Retrospect | None = None
    untold: str = ""

    def __str__(self) -> str:
        lines = [f"{counted(len(self.rows), 'image')} of {self.images:,} to label next, by {self.method}:"]
        lines += [
            f"  {row['path']}  {row['answer']} {row['confidence']:.2f} {row['reason']}" for row in self.rows[:SHOWN]
        ]
        if len(self.rows) > SHOWN:
            lines.append(f"  ... and {len(self.rows) - SHOWN} more.")
        strange = sum(row["reason"] == "unfamiliar" for row in self.rows)
        if strange:
            lines.append(
                f"{counted(strange, 'of them is', 'of them are')} unfamiliar, and may show none of the classes."
            )
        lines += (
            [f"Left out: {', '.join(f'{why} ({n:,})' for why, n in self.left_out.items())}."] if self.left_out else []
        )
        lines.append(str(self.retrospect) if self.retrospect else f"No estimate beside random choice: {self.untold}.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        told = None if self.retrospect is None else asdict(self.retrospect) | {"said": str(self.retrospect)}
        return {
            "method": self.method,
            "images": self.images,
            "chosen": self.rows,
            "left_out": self.left_out,
            "retrospect": told,
            "untold": self.untold,
        }

    def write(self, place: Path, *, guard_formulas: bool = True) -> Path:
        """Write a CSV file with a row per image and an empty label; paths below its folder are relative to it."""
        rows = [{**row, "path": _relative(row["path"], place), "label": ""} for row in self.rows]
        cells = [["" if row[name] is None else str(row[name]) for name in COLUMNS] for row in rows]
        return write_text(place, as_csv([COLUMNS, *cells], guard_formulas=guard_formulas))


def ask_next(
    classifier: Classifier,
    run: Run | None,
    paths: Sequence[Located],
    count: int,
    method: str,
    *,
    seed: int,
    estimate: bool,
) -> Asked:
    """Choose images to label for a classifier and the run that it is of; see `linnaea.ask`."""
    require_able(classifier, method, run)
    seen = look_at(classifier, paths)
    if "information" in needs_of(method) and seen.outputs.uncertainty is None:
        raise UsageError(_without_members(method))
    rows, left_out = usable(seen, run)
    if not len(rows):
        told = ", ".join(f"{why}: {number}" for why, number in left_out.items())
        raise DataError(f"none of {len(paths)} images is left to ask for ({told}): give others.")
    known = _labelled(run, classifier, seen) if "known" in needs_of(method) else None
    pool = seen.pool(rows, known, several=TASKS[classifier.task].multilabel, seed=seed)
    chosen, copies = chosen_without_copies(pool, rows, seen, classifier, count, method)
    if copies:
        left_out["nearly the same as one that was chosen"] = copies
    untold = why_not(classifier, run, method) if estimate else "not asked for"
    told_back = None
    if not untold and run is not None:
        try:
            ratio = len(chosen) / max(1, len(run.dataset().split("train")))
            told_back = in_retrospect(known_images(run, classifier), method, ratio, seed=seed)
        except DataError as error:
            untold = str(error)
    return Asked(method, len(paths), told_of(seen, classifier, chosen), left_out, told_back, untold)


def run_of(given: Classifier | Run | str | Path, classifier: Classifier) -> Run | None:
    """The run that a classifier is of, or that its folder lies in; None where there is none."""
    if isinstance(given, Classifier):
        return None
    if isinstance(given, Run):
        return given
    return Run.open(given) if Run.is_in(given) else surrounding_run(Path(given), classifier)


def require_able(classifier: Classifier, method: str, run: Run | None) -> None:
    """Raise UsageError, before any image is read, where the classifier cannot give what the strategy needs."""
    needs = needs_of(method)
    if "features" in needs and classifier.scorer.whole:
        *able, last = [name for name in QUERIES if "features" not in needs_of(name)]
        mend = f"name the run, {run.folder}" if run is not None else "name the run that it was exported from"
        raise UsageError(
            f"--method {method} needs features, which an exported folder does not give: {mend}, or choose "
            f"{', '.join(able)} or {last}."
        )
    if "information" in needs and not classifier.scorer.whole:
        blank = np.zeros((1, *classifier.recipe.shape), dtype=np.uint8)
        if classifier.score(blank).uncertainty is None:
            raise UsageError(_without_members(method))


def _without_members(method: str) -> str:
    return (
        f"--method {method} asks where members disagree, and this classifier answers by one: train it with "
        "--uncertainty, such as deep_ensemble:5, laplace or mc_dropout, combine runs with `linnaea ensemble`, or "
        "choose --method margin."
    )


def _labelled(run: Run | None, classifier: Classifier, seen: Seen) -> Floats:
    """Features (n, D) of the images of the run, all of which are labelled."""
    assert seen.features is not None, "whoever has none was refused"
    if run is None:
        return np.zeros((0, seen.features.shape[1]), dtype=np.float32)
    decoded = decode_files(run.dataset().paths, classifier.recipe)
    if decoded.failed:
        raise DataError(
            f"{counted(len(decoded.failed), 'image')} of the run can no longer be read from {run.dataset().root}, and "
            "k_center keeps away from all that are labelled: put them back, or choose another --method."
        )
    return embed_once(classifier.model, decoded.images)


def _relative(path: str, place: Path) -> str:
    """The path relative to the folder of a file, if it lies below it, else from the root."""
    whole, folder = Path(path).absolute(), place.absolute().parent
    return whole.relative_to(folder).as_posix() if whole.is_relative_to(folder) else str(whole)
