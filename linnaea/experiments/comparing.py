"""Two or more classifiers compared: by what they left or what they answer now, told, written and counted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from linnaea.dataset import Dataset
from linnaea.errors import DataError, LinnaeaError, UsageError, suggest
from linnaea.evidence.comparison.many import Comparisons, compare_many, require_margin
from linnaea.evidence.comparison.over_datasets import DatasetComparisons, compare_over_datasets
from linnaea.evidence.comparison.retrained import over_folds, over_seeds
from linnaea.evidence.comparison.two import Comparison
from linnaea.experiments.contenders import Contender, are_trainings, contenders_of, is_collection
from linnaea.experiments.paired_comparison import compare_sides, require_same_images, unseen_images
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.runtime.files import write_json, write_text

Compared = Comparison | Comparisons | DatasetComparisons


def compare_all(
    given: Sequence[str | Path],
    data: str | Path | Dataset | None,
    *,
    metric: str | None = None,
    margin: float | None = None,
    out: str | Path | None = None,
) -> Compared:
    """Compare what the paths name; see `linnaea.compare`. Two of which nothing more is asked are told in full."""
    require_margin(margin)
    _require_metric(metric)
    if len(given) == 2 and metric is None and margin is None and out is None and not any(map(is_collection, given)):
        return compare_sides(given[0], given[1], data)
    contenders = contenders_of(given)
    found: Comparisons | DatasetComparisons
    if data is not None:
        images = unseen_images((side for one in contenders for side in one.sides.values()), data)
        answers = [{name: side.answers(images) for name, side in one.sides.items()} for one in contenders]
        found = _on_same_images(contenders, answers, metric, margin)
    else:
        kept = [_kept(one, contenders) for one in contenders]
        trainings = are_trainings(contenders, kept)
        found = (
            _on_same_images(contenders, kept, metric, margin)
            if trainings
            else _over_datasets(contenders, kept, metric, margin)
        )
    if out is not None:
        write_comparison(found, Path(out))
    if data is None:
        _count_looks(contenders)
    return found


def write_comparison(found: Comparisons | DatasetComparisons, folder: Path) -> None:
    """Write `comparison.json` and the page `comparison.html` into a folder, each atomically."""
    from linnaea.delivery.report.comparison import render_comparison

    content = found.to_json()
    write_json(folder / "comparison.json", content)
    write_text(folder / "comparison.html", render_comparison(content))


def _on_same_images(
    contenders: Sequence[Contender],
    answers: Sequence[dict[str, Predictions]],
    metric: str | None,
    margin: float | None,
) -> Comparisons:
    _require_alike([run for one in contenders for run in one.runs])
    sides = {one.name: list(found.values()) for one, found in zip(contenders, answers, strict=True)}
    found = compare_many(sides, metric=metric, margin=margin)
    rows, notes = _further(contenders, metric)
    single = [name for name, count in found.trainings.items() if count == 1]
    if len(single) == len(sides) and not rows:
        notes.append(
            "Each was trained once: that another training of the same would come out the same is not tested. Give "
            "folders of runs with several seeds, or runs with --folds, for that."
        )
    return replace(found, further=rows, notes=[*found.notes, *notes])


def _over_datasets(
    contenders: Sequence[Contender],
    kept: Sequence[dict[str, Predictions]],
    metric: str | None,
    margin: float | None,
) -> DatasetComparisons:
    if margin is not None:
        raise UsageError("--margin asks about images of one data set: leave it out over several.")
    for name in {name for found in kept for name in found}:
        runs = [one.sides[name].run for one in contenders if name in one.sides]
        _require_alike([run for run in runs if run is not None])
    sides = {one.name: found for one, found in zip(contenders, kept, strict=True)}
    return compare_over_datasets(sides, metric=metric)


def _further(contenders: Sequence[Contender], metric: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The tests over folds and over seeds that the runs allow, and why one that was looked for cannot be made."""
    folds = {one.name: one.folds() for one in contenders}
    seeds = {one.name: one.seeds() for one in contenders}
    rows, notes = [], []
    for what, known, test in (
        ("folds", folds, lambda: over_folds({name: it for name, it in folds.items() if it}, metric)),
        ("seeds", seeds, lambda: over_seeds({name: it for name, it in seeds.items() if it}, _val_images(contenders))),
    ):
        having = [name for name, it in known.items() if it]
        if not having or (what == "seeds" and metric is not None):
            continue
        if len(having) < len(known):
            notes.append(f"Not compared over {what}: only {', '.join(having)} has them.")
            continue
        rows += _or_note(test, notes, what)
    return rows, notes


def _or_note(test: Callable[[], list[dict[str, Any]]], notes: list[str], what: str) -> list[dict[str, Any]]:
    try:
        return test()
    except LinnaeaError as error:
        notes.append(f"Not compared over {what}: {error}")
        return []


def _val_images(contenders: Sequence[Contender]) -> int:
    return min(run.findings("seeds")[0].count for one in contenders for run in one.runs)


def _kept(contender: Contender, contenders: Sequence[Contender]) -> dict[str, Predictions]:
    """The finished predictions of a contender or, of a bundle beside runs, new ones on the images of the first run."""
    from linnaea.experiments.finished_run import own_images

    runs = [run for one in contenders for run in one.runs]
    lacking = [side for side in contender.sides.values() if side.run is None and side.given.suffix != ".parquet"]
    if len(lacking) == 1 and len(contender.sides) == 1 and runs:
        return {lacking[0].given.name: lacking[0].answers(own_images(runs[0])[1])}
    return contender.kept()


def _require_alike(runs: Sequence[Run]) -> None:
    """Raise DataError unless the runs were judged on the same split, with the same content under each name."""
    for first, second in pairwise(runs):
        if first.judged_on != second.judged_on:
            raise DataError(
                f"{first.folder} was judged on {first.judged_on} and {second.folder} on {second.judged_on}: expected "
                "the same split; evaluate both on the same data."
            )
        require_same_images(first, second)


def _require_metric(name: str | None) -> None:
    """Raise UsageError, with a suggestion, for a name that is no metric's."""
    if name is None:
        return
    from linnaea.evidence.metrics import LABEL_METRICS, METRICS

    known = [*METRICS, *(one for one in LABEL_METRICS if one not in METRICS)]
    if name not in known:
        raise UsageError(f"metric is {name!r}; expected one of {', '.join(known)}.{suggest(name, known)}")


def _count_looks(contenders: Sequence[Contender]) -> None:
    """Count the look at the test split in each run."""
    counted = 0
    for one in contenders:
        others = ", ".join(other.name for other in contenders if other is not one)
        for run in one.runs:
            if run.judged_on == "test":
                with run.locked():
                    run.count_test(f"compare with {others}")
                counted += 1
    if counted:
        from linnaea.experiments.paired_comparison import logger

        logger.info(f"This counts as one more look at the test split of {counted} runs.")
