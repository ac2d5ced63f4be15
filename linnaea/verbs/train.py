"""`train`: from labelled images to a run with its classifier and all its evidence."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Decision, Labelled, Learning, Loggers, Machine, Option, Options, Preparation, Repetition
from linnaea.options.things import Also
from linnaea.options.words import pairs_in
from linnaea.verbs.contract import VERBS, told_by
from linnaea.verbs.outcome import tell_new_run

if TYPE_CHECKING:
    from linnaea.classifier import Classifier


@VERBS.register(
    "train",
    title="Train",
    meaning="Train a classifier: audit and split the data, try each rung, calibrate, evaluate on the test split, "
    "report.",
    order=40,
)
@told_by(tell_new_run)
def train(
    data: Labelled,
    *,
    also: Also = (),
    out: Annotated[
        str | Path | None, Option("Folder to write the run to. Default: a new one in runs/.", read=Path)
    ] = None,
    resume: Annotated[bool, Option("Continue a run that was interrupted; give it the same options.")] = False,
    log: Loggers = (),
    preparation: Preparation = Preparation(),
    learning: Learning = Learning(),
    decision: Decision = Decision(),
    machine: Machine = Machine(),
    repetition: Repetition = Repetition(),
) -> "Classifier":
    """Train a classifier on labelled images and leave the run, with all its evidence, in the folder `out`.

    `data` is what `linnaea.read` takes, or a dataset. `also` are further ones beside it: an image that both have, by
    its bytes, stays in its split and gets the later label, so that a review corrects what was trained on. `out` None
    makes a new folder below `runs`. `resume` continues a run that was stopped, with the same arguments; another `aim`
    may be given. `log` names loggers that are told what happens as well. Of several processes that torchrun started,
    the first returns the classifier, and the others end where this is called. Raises DataError, UsageError or RunError,
    each saying how to mend it.
    """
    from linnaea.data.sources.together import nameable, place_of, read_together
    from linnaea.experiments.recipe_file import FILE, recipe_of
    from linnaea.experiments.run_life import find_unfinished, freeze, new_folder
    from linnaea.experiments.several import processes
    from linnaea.experiments.training import settle
    from linnaea.experiments.training_run import carry_out
    from linnaea.learning.rungs import require_use_of_training

    with processes(machine):
        given = read_together(data, also) if also else data
        training = settle(given, preparation, learning, decision, machine, repetition, log)
        require_use_of_training(training.options, training.steps)
        groups: dict[str, Options] = {
            "preparation": preparation,
            "learning": learning,
            "decision": decision,
            "machine": machine,
            "repetition": repetition,
        }
        options = {name: value for group in groups.values() for name, value in group.named().items()}
        options["model_args"] = pairs_in(learning.model_args)
        more = {"also": list(map(place_of, also))} if also else {}
        frozen = freeze(training.dataset, {"out": out, "log": log, **more, **options})
        folder = Path(out) if out is not None else find_unfinished(frozen) if resume else new_folder(training.dataset)
        recipes = {FILE: recipe_of("train", {"data": data, "also": nameable(also), "log": log}, groups)}
        return carry_out(training, folder, frozen, resume=resume, recipes=recipes)
