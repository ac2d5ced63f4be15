"""`split`: who learns from which images, and who is judged by which."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import CheckFailedError, UsageError
from linnaea.options import Labelled, Machine, Only, Option, Preparation
from linnaea.options.things import AsJson, GuardFormulas
from linnaea.options.words import shares_in
from linnaea.runtime.saying import say, say_findings, say_json
from linnaea.verbs.calling import call
from linnaea.verbs.check_split import check_split
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.dataset import Dataset


def tell(
    answer: Callable[[], "Dataset"],
    given: Mapping[str, Any],
    *,
    out: Annotated[
        Path | None, Option("CSV file to write. Default: manifest.csv beside the images.", read=Path)
    ] = None,
    check: Annotated[
        bool, Option("Only check the splits that the data has for leaks; exit with 1 if there are any.")
    ] = False,
    guard_formulas: GuardFormulas = True,
    as_json: AsJson = False,
) -> None:
    """Write the split as CSV and say how many images are in each part; or check the splits that are there."""
    if check:
        if out or given["fractions"] or given["folds"] or given["repeats"] != 1:
            raise UsageError("--check only looks at existing splits: remove --out, --fractions, --folds and --repeats.")
        _check(given, as_json)
        return
    dataset = answer()
    place = out or dataset.root / "manifest.csv"
    if out is None and place.exists():
        raise UsageError(f"{place} already exists: remove it, or name another file with --out.")
    columns = [f"fold_{repeat}" for repeat in range(1, given["repeats"] + 1)] if given["folds"] else []
    _write(dataset, place, columns, guard_formulas)
    parts = {name: Counter(dataset.column(name)) for name in columns or ["split"]}
    if as_json:
        say_json({"written": str(place), "images": {name: dict(counts) for name, counts in parts.items()}})
        return
    for name, counts in parts.items():
        shown = [f"{count} {part}" if name == "split" else f"{count}" for part, count in counts.items()]
        say(f"{'' if name == 'split' else f'{name}: '}{', '.join(shown)} images, in {place}.")
    say(_next(dataset, place, folds=bool(columns)))


def _check(given: Mapping[str, Any], as_json: bool) -> None:
    from linnaea.experiments.split_check import leaks_in

    findings = call(check_split, given)
    say_findings(findings, as_json)
    if leaks := leaks_in(findings):
        raise CheckFailedError(f"the splits of {given['data']} leak: {', '.join(leak.name for leak in leaks)}.")


def _write(dataset: "Dataset", place: Path, columns: list[str], guard_formulas: bool) -> None:
    from linnaea.runtime.files import write_text

    write_text(place, dataset.manifest(columns, guard_formulas=guard_formulas))


def _next(dataset: "Dataset", place: Path, *, folds: bool) -> str:
    if place.resolve().parent != dataset.root.resolve():
        return f"Next: move it to {dataset.root}, as its paths are relative to that folder, and train on it there."
    return f"Next, in Python: linnaea.folds('{place}')" if folds else f"Next: linnaea train {place}"


@VERBS.register(
    "split",
    title="Split",
    meaning="Split images into train, val and test without leaks, and write the split as CSV; or check existing "
    "splits.",
    order=20,
)
@told_by(tell)
def split(
    data: Labelled,
    *,
    fractions: Annotated[
        Mapping[str, float] | None,
        Option(
            "Shares of train, val and test. Default: 0.7,0.15,0.15, with at most 5,000 images in val and in test.",
            read=shares_in,
        ),
    ] = None,
    folds: Annotated[
        int | None, Option("Number of folds for cross-validation. Default: no folds, but one split.")
    ] = None,
    repeats: Annotated[int, Option("How many times to draw the folds, differently each time.")] = 1,
    preparation: Annotated[Preparation, Only("split_by", "duplicates", "max_pixels", "channels")] = Preparation(),
    machine: Annotated[Machine, Only("seed")] = Machine(),
) -> "Dataset":
    """Split images into train, val and test, duplicates and groups never apart. Returns the dataset.

    `split_by` names a splitter: "stratified" (by class; images with several labels by each of them), "time" (the
    oldest into train, the youngest into test) or "iterative". With `folds` the dataset gets columns `fold_1`, ... of
    numbers from 1 to `folds`, one for each of the `repeats`, instead of a split. Splits that are given are kept. Images
    of more than `max_pixels` (None: 50 megapixels) are not decoded.
    """
    from linnaea.data.sources import read
    from linnaea.dataset import Dataset
    from linnaea.experiments.splitting import split_images

    dataset = data if isinstance(data, Dataset) else read(data)
    return split_images(dataset, preparation, machine.seed, fractions=fractions, folds=folds, repeats=repeats)
