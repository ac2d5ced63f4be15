"""How a run begins, goes on and ends: its folder, its frozen arguments, and the truth in run.json."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from linnaea.data.pixels import Recipe
from linnaea.dataset import Dataset
from linnaea.errors import RunError, UsageError, suggest
from linnaea.learning.rungs import Step
from linnaea.run import Run, command_line, now

logger = logging.getLogger("linnaea")


def freeze(dataset: Dataset, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as JSON types."""
    return {
        name: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        for name, value in {"data": str(dataset.root.resolve()), **arguments}.items()
    }


def with_positive(dataset: Dataset, positive: str | None) -> Dataset:
    """The dataset with `positive` as the second of its two classes, which is what aims and curves are about.

    Raises UsageError for another number of classes, and for a class that is none of them.
    """
    if positive is None:
        return dataset
    if dataset.task != "binary":
        raise UsageError(
            f"positive is {positive!r}, but {dataset.root} has {len(dataset.classes)} classes and the task "
            f"{dataset.task}: only of two classes one is the positive one; leave it out."
        )
    if positive not in dataset.classes:
        known = ", ".join(dataset.classes)
        raise UsageError(f"unknown class {positive!r}: one of {known}.{suggest(positive, dataset.classes)}")
    return replace(dataset, classes=(*(name for name in dataset.classes if name != positive), positive))


def new_folder(dataset: Dataset) -> Path:
    """A folder below `runs`, named after the data, that is not there yet."""
    return free_folder(Path("runs") / (dataset.root.resolve().name or "run"))


def free_folder(wanted: Path) -> Path:
    """The folder itself or, where it is there, one of its name with a number."""
    return next(
        folder
        for number in range(1, 10_000)
        if not (folder := wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")).exists()
    )


def find_unfinished(frozen: dict[str, Any]) -> Path:
    """The latest run below `runs` on the same data that did not come to its end."""
    found = []
    for record_file in Path("runs").glob("*/run.json"):
        record = Run.open(record_file.parent).record()
        if record["status"] != "finished" and record["arguments"].get("data") == frozen["data"]:
            found.append((record["started"], record_file.parent))
    if not found:
        raise RunError(f"there is no unfinished run on {frozen['data']} below runs: name its folder with --out.")
    return max(found)[1]


def open_run(folder: Path, frozen: dict[str, Any], *, resume: bool) -> Run:
    """Begin a run, or open the one to be resumed; raises RunError when it is finished or had other arguments."""
    if not resume:
        return Run.create(folder, frozen, command_line())
    if not folder.exists():
        logger.warning(f"{folder} does not exist yet: there is nothing to resume, so a new run begins.")
        return Run.create(folder, frozen, command_line())
    run = Run.open(folder)
    given = run.record()["arguments"]
    free = ("time_limit", "device", "out", "aim", "risk")  # what was trained is the same with another aim
    differing = [name for name in frozen if name not in free and frozen[name] != given.get(name)]
    if differing:
        listed = "; ".join(f"{name} was {given.get(name)!r} and is now {frozen[name]!r}" for name in differing)
        raise RunError(f"{folder} cannot be resumed with other arguments: {listed}.")
    if run.record()["status"] == "finished":
        raise RunError(f"{folder} is already finished: there is nothing to resume.")
    run.update(status="running", error=None, arguments=given | {name: frozen.get(name) for name in ("aim", "risk")})
    return run


def require_same_way(run: Run, recipe: Recipe, steps: Sequence[Step]) -> None:
    """Write down the picture size and the steps, or raise RunError when a resumed run would now take others.

    They follow from what is found: weights in a cache or on the network, and the sizes of the images.
    """
    weights = [step.weights.provenance() if step.weights is not None else None for step in steps]
    way = {"recipe": recipe.to_json(), "steps": [step.name for step in steps], "weights": weights}
    known = run.record().get("way")
    if known is None:
        run.update(way=way)
    elif known != way:
        differing = ", ".join(name for name in way if known.get(name) != way[name])
        raise RunError(
            f"{run.folder} cannot be resumed: its {differing} would now be other than when it began. Give --weights "
            "and --img-size as they were, or start a new run."
        )


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Leave the truth in run.json however the run ends."""
    try:
        yield
    except KeyboardInterrupt:
        run.update(status="interrupted", finished=now())
        raise
    except BaseException as error:
        run.update(status="failed", error=str(error) or type(error).__name__, finished=now())
        raise
