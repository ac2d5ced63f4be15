"""`tune`: a search for good options, whose winner is a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import (
    Decision,
    Labelled,
    Learning,
    Loggers,
    Machine,
    Option,
    Options,
    Preparation,
    Repetition,
    Searching,
)
from linnaea.verbs.contract import VERBS, told_by
from linnaea.verbs.outcome import tell_new_run

if TYPE_CHECKING:
    from linnaea.classifier import Classifier


@VERBS.register(
    "tune", title="Tune", meaning="Search for the options that a model learns best by; the winner is a run.", order=42
)
@told_by(tell_new_run)
def tune(
    data: Labelled,
    *,
    out: Annotated[
        str | Path | None, Option("Folder to write the run to. Default: a new one in runs/.", read=Path)
    ] = None,
    resume: Annotated[bool, Option("Continue a search that was interrupted; give it the same options.")] = False,
    log: Loggers = (),
    searching: Searching = Searching(),
    preparation: Preparation = Preparation(),
    learning: Learning = Learning(),
    decision: Decision = Decision(),
    machine: Machine = Machine(),
    repetition: Repetition = Repetition(),
) -> "Classifier":
    """Search for the options that a model learns best by, and leave the run of the best trial in the folder `out`.

    `data` is what `linnaea.read` takes, or a dataset. Options of learning that are given hold for every trial. Trials
    are judged by their loss on val at its best temperature, and broken off where they are poor; the best one is then
    calibrated, judged once on the test split and reported as any run is. `folds` judges the search itself, by one in
    each fold (nested cross-validation). `resume` continues a search that was stopped, in the same space; other `trials`
    and another `budget` may be given. Raises DataError, UsageError or RunError, each saying how to mend it.
    """
    from functools import partial

    from linnaea.experiments.recipe_file import SEARCH_FILE, recipe_of
    from linnaea.experiments.run_life import find_unfinished, freeze, new_folder
    from linnaea.experiments.several import require_alone
    from linnaea.experiments.training_run import carry_out
    from linnaea.experiments.tuning import searched_and_concluded, settle_tuning
    from linnaea.options.option import changed

    require_alone(machine)
    tuning = settle_tuning(data, preparation, learning, decision, machine, repetition, searching, log)
    groups: dict[str, Options] = {
        "searching": searching,
        "preparation": preparation,
        "learning": learning,
        "decision": decision,
        "machine": machine,
        "repetition": repetition,
    }
    options = {name: value for group in groups.values() for name, value in group.named().items()}
    dataset = tuning.training.dataset
    frozen = freeze(dataset, {"out": out, "log": log, **options, "space": tuning.space.to_json()})
    folder = Path(out) if out is not None else find_unfinished(frozen) if resume else new_folder(dataset)
    written_out = {**groups, "searching": changed(searching, {"space": tuning.space.to_json()})}
    recipe = recipe_of("tune", {"data": data, "log": log}, written_out, file=SEARCH_FILE, title="Repeats the search")
    work = partial(searched_and_concluded, tuning)
    return carry_out(tuning.training, folder, frozen, resume=resume, recipes={SEARCH_FILE: recipe}, work=work)
