"""How a run begins, goes on and ends: its folder, its frozen arguments, and the truth in run.json."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from linnaea.data.images.pixels import Recipe
from linnaea.dataset import Dataset
from linnaea.errors import RunError
from linnaea.learning.rungs import Step
from linnaea.run import Run, command_line, is_vacant, now
from linnaea.runtime.files import write_text
from linnaea.runtime.locks import held
from linnaea.runtime.progress import working

logger = logging.getLogger("linnaea")


def freeze(dataset: Dataset, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as JSON types."""
    return {
        name: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        for name, value in {"data": str(dataset.root.resolve()), **arguments}.items()
    }


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
    """The latest run below `runs` on the same data that did not come to its end and that no process is at work in."""
    found = []
    for record_file in Path("runs").glob("*/run.json"):
        try:
            run = Run.open(record_file.parent)
            record = run.record()
        except RunError as error:
            logger.warning(f"{record_file.parent} is skipped: {error}")
            continue
        if record["status"] != "finished" and record["arguments"].get("data") == frozen["data"] and not run.in_use:
            found.append((record["started"], run.folder))
    if not found:
        raise RunError(f"there is no unfinished run on {frozen['data']} in runs: name its folder with --out.")
    return max(found)[1]


@contextmanager
def begun(
    folder: Path,
    frozen: dict[str, Any],
    *,
    resume: bool,
    recipes: Mapping[str, str],
    way: Mapping[str, Any] | None = None,
) -> Iterator[Run]:
    """A run that begins, or the one to be resumed, kept from other processes until it ends; the truth is in run.json.

    `recipes` are the texts of the files that repeat it, by name, see `recipe_of`; `way` are the image size and the
    steps, see `way_of`. Raises RunError when the run is finished, when another process is at work in it, and when its
    arguments or its way were others.
    """
    if not folder.is_dir() and folder.exists():
        raise RunError(f"{folder} is a file: choose another --out.")
    with held(folder):
        run = _opened(folder, frozen, resume=resume)
        if way is not None:
            _require_same_way(run, way)
        with _recorded(run):
            for name, text in recipes.items():
                write_text(folder / name, text)
            yield run


def _opened(folder: Path, frozen: dict[str, Any], *, resume: bool) -> Run:
    if not resume:
        return Run.create(folder, frozen, command_line())
    if is_vacant(folder):
        logger.warning(f"There is no run in {folder} to resume: starting a new one.")
        return Run.create(folder, frozen, command_line())
    run = Run.open(folder)
    given = run.record()["arguments"]
    free = ["time_limit", "checkpoint_every", "device", "out", "log", "aim", "risk"]  # they change nothing learnt
    free += ["strategy", "stream", "budget", "trials"]  # nor how it is shared and read, nor these of a search
    differing = [name for name in frozen if name not in free and frozen[name] != given.get(name)]
    if differing:
        listed = "; ".join(f"{name} was {given.get(name)!r} and is now {frozen[name]!r}" for name in differing)
        raise RunError(f"{folder} cannot be resumed with different arguments: {listed}.")
    if run.record()["status"] == "finished":
        raise RunError(f"{folder} is already finished: there is nothing to resume.")
    for partial in folder.rglob(".*.partial"):  # of a process that was killed
        partial.unlink()
    run.update(status="running", error=None, arguments=given | {name: frozen.get(name) for name in ("aim", "risk")})
    return run


def way_of(recipe: Recipe, steps: Sequence[Step]) -> dict[str, Any]:
    """The image size and the steps of a training.

    They follow from what is found: weights in a cache or on the network, and the sizes of the images.
    """
    weights = [step.weights.provenance() if step.weights is not None else None for step in steps]
    return {"recipe": recipe.to_json(), "steps": [step.name for step in steps], "weights": weights}


def _require_same_way(run: Run, way: Mapping[str, Any]) -> None:
    """Write down the way, or raise RunError when a resumed run would now take another."""
    known = run.record().get("way")
    if known is None:
        run.update(way=way)
    elif known != way:
        differing = ", ".join(name for name in way if known.get(name) != way[name])
        raise RunError(
            f"{run.folder} cannot be resumed: its {differing} would now differ from when it began. Give --weights "
            "and --img-size as they were, or start a new run."
        )


@contextmanager
def _recorded(run: Run) -> Iterator[None]:
    """Leave the truth in run.json however the run ends, and say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OSError):  # a full disk
            run.update(status="interrupted", finished=now())
        logger.warning(f"The run {run.folder} was stopped. {run.how_to_go_on()}")
        raise
    except BaseException as error:
        with suppress(OSError):  # the error itself tells of a full disk
            run.update(status="failed", error=str(error) or type(error).__name__, finished=now())
        raise


@contextmanager
def timed(run: Run, stage: str) -> Iterator[None]:
    """Record in run.json how long a stage takes, and say meanwhile what is being done."""
    started = time.perf_counter()
    with working(stage):
        yield
    run.timed(stage, time.perf_counter() - started)
