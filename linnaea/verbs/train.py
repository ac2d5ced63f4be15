"""`train`: from labelled images to a run with its classifier and all its evidence."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Decision, Labelled, Learning, Loggers, Machine, Option, Preparation, Repetition
from linnaea.options.things import Also
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
    from linnaea.experiments.asked_training import Asked, train_as_asked

    asked = Asked(preparation, learning, decision, machine, repetition, log)
    return train_as_asked(data, asked, out, resume=resume, also=also)
