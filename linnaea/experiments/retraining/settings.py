"""How a run was trained, read back from its recipe, for training again."""

import logging
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnaea.errors import UsageError
from linnaea.experiments.asked_training import Asked
from linnaea.experiments.recipe_file import FILE
from linnaea.experiments.run_life import free_folder
from linnaea.options.option import changed
from linnaea.run import Run
from linnaea.runtime.boundary import parsing
from linnaea.runtime.text import read_text

logger = logging.getLogger("linnaea")
GIVEN_SPLITS = {"split_by": "stratified", "split_seed": None}  # the splits of the run are kept


def settings_of(run: Run, *, warm_start: bool) -> Asked:
    """The options that the run was trained with, on splits that are given; `warm_start` begins with its weights.

    Raises UsageError for a run that no training made, and one without a recipe.
    """
    if run.made_by != "train":
        raise UsageError(
            f"{run.folder} was made by `linnaea {run.made_by}`, so there is no recipe to train by: retrain the run "
            "that it came from."
        )
    tables = _tables(run)
    usual, log = Asked(), tuple(tables.get("log", ()))
    decision = changed(usual.decision, tables.get("decision", {}))
    learning = changed(usual.learning, tables.get("learning", {}))
    if decision.hold_out:
        logger.info("Classes that were held out stay so: their images are those of the run.")
        decision = changed(decision, {"hold_out": None})
    if warm_start:
        learning = changed(learning, {"weights": str(run.folder.resolve())})
    return Asked(
        changed(usual.preparation, {**tables.get("preparation", {}), **GIVEN_SPLITS}),
        learning,
        decision,
        changed(usual.machine, tables.get("machine", {})),
        changed(usual.repetition, tables.get("repetition", {})),
        log,
    )


def _tables(run: Run) -> Mapping[str, Any]:
    file = run.folder / FILE
    if not file.is_file():
        raise UsageError(f"{run.folder} has no {FILE}, as runs of earlier versions: train it once more to have one.")
    text = read_text(file)
    with parsing(file, "TOML", "expected the recipe that a training wrote"):
        return tomllib.loads(text)


def free_beside(run: Run) -> Path:
    """Where the new run goes where nobody says: a new folder beside the old one, `birds-2` after `birds`."""
    return free_folder(run.folder.resolve())
